# Copyright (c) 2026 ringmaster.webops contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The style sheet of the report's page: calm, readable on a phone, on paper, by day and by night."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2329; --soft: #59636e; --line: #d8dee4; --paper: #fff; --tint: #f4f6f8; --link: #0b57a4;
  --critical: #a4161a; --critical-tint: #fdeeee; --unknown: #5b3aa6; --unknown-tint: #f3effc;
  --attention: #7d4a00; --attention-tint: #fdf4e3; --ok: #1a6334; --ok-tint: #ecf7ef;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e3e7eb; --soft: #a1abb6; --line: #343b43; --paper: #14181c; --tint: #1c2127; --link: #7db7f5;
    --critical: #ff9a97; --critical-tint: #3a1a1c; --unknown: #c4b0fa; --unknown-tint: #2a2340;
    --attention: #f2c374; --attention-tint: #35290f; --ok: #86d6a0; --ok-tint: #16301f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 78rem; padding: 2rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
h1, h2, h3, h4, h5 { line-height: 1.25; margin: 0; font-weight: 600; }
h1 { font-size: 1.9rem; letter-spacing: -0.01em; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
h4 { font-size: 1rem; margin: 0; }
h5 { font-size: 0.9rem; margin: 1.1rem 0 0.2rem; font-weight: 600; }
p { margin: 0.4rem 0; max-width: 60rem; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: 2px; }
ul { margin: 0.3rem 0; padding-left: 1.2rem; }
.soft, time { color: var(--soft); }
.names {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.86em;
  overflow-wrap: anywhere;
}
.over { color: var(--soft); font-size: 0.9rem; margin: 0 0 0.4rem; }
.badge {
  display: inline-block; padding: 0.05rem 0.55rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: 0.85rem; font-weight: 600; white-space: nowrap;
}
.critical { color: var(--critical); background: var(--critical-tint); }
.unknown { color: var(--unknown); background: var(--unknown-tint); }
.attention { color: var(--attention); background: var(--attention-tint); }
.ok { color: var(--ok); background: var(--ok-tint); }
.verdict { border-left: 0.4rem solid currentColor; border-radius: 0.3rem; padding: 1.1rem 1.4rem; }
.verdict p { color: var(--ink); }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 0.75rem; margin: 1rem 0 0;
}
.figures > div { border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.7rem 1rem; }
.figures dt { color: var(--soft); font-size: 0.9rem; }
.figures dd { margin: 0; }
.figures .large { font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.reasons { list-style: none; padding: 0; margin: 0; border-top: 1px solid var(--line); }
.reasons li {
  display: grid; grid-template-columns: 7.5rem minmax(6rem, 12rem) 1fr; gap: 0.25rem 1rem; align-items: baseline;
  padding: 0.45rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere;
}
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.94rem; }
caption { text-align: left; color: var(--soft); font-size: 0.9rem; padding: 0 0 0.35rem; }
th, td {
  text-align: left; vertical-align: top; padding: 0.45rem 0.9rem 0.45rem 0; border-bottom: 1px solid var(--line);
}
thead th { color: var(--soft); font-weight: 600; font-size: 0.85rem; white-space: nowrap; vertical-align: bottom; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 7rem; }
td { overflow-wrap: anywhere; }
.number, thead th.number { font-variant-numeric: tabular-nums; text-align: right; padding-right: 1.6rem; }
.hosts td { min-width: 5.5rem; }
.hosts td small { max-width: 22rem; }
table.compact { width: auto; }
.compact th, .compact td { padding-right: 2rem; }
.protocols td:nth-child(2), .protocols td:nth-child(3) { white-space: nowrap; }
.suites > span { display: inline-block; margin-right: 1.2em; }
small { color: var(--soft); font-size: 0.85em; font-weight: 400; display: block; }
.grade { font-weight: 700; font-size: 1.1em; }
details { border: 1px solid var(--line); border-radius: 0.4rem; margin: 0.75rem 0; }
details > summary {
  cursor: pointer; padding: 0.7rem 1rem; display: flex; gap: 0.9rem; align-items: baseline; flex-wrap: wrap;
}
details > summary::before { content: "\\25B8"; color: var(--soft); }
details[open] > summary::before { content: "\\25BE"; }
details > summary h3 { margin: 0; overflow-wrap: anywhere; }
details > div { padding: 0 1.1rem 1rem; scroll-margin-top: 5rem; }
.endpoint { border-left: 3px solid var(--line); padding: 0.1rem 0 0.1rem 1rem; margin: 1.1rem 0; }
dl.facts { display: grid; grid-template-columns: 13rem minmax(0, 1fr); gap: 0.2rem 1.2rem; margin: 0.4rem 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts ul { margin: 0; }
footer {
  margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.8rem; color: var(--soft); font-size: 0.9rem;
}
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
:target { outline: 2px solid var(--link); outline-offset: 0.4rem; }
@media (max-width: 40rem) {
  body { padding: 1rem 0.9rem 3rem; }
  h1 { font-size: 1.5rem; }
  .reasons li { grid-template-columns: 7.5rem 1fr; }
  .reasons li > :last-child { grid-column: 1 / -1; }
  dl.facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin: 0 0 0.5rem; }
}
@media print {
  :root {
    --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --tint: #fff; --link: #000;
    --critical: #8c0f13; --critical-tint: #fff; --unknown: #46307d; --unknown-tint: #fff;
    --attention: #5f3900; --attention-tint: #fff; --ok: #124a27; --ok-tint: #fff;
  }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  a { text-decoration: none; }
  tr, .reasons li, .endpoint h4, .figures > div { break-inside: avoid; }
  h2, h3, h4, h5, caption, thead { break-after: avoid; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
  details > summary::before { content: none; }
}
"""
