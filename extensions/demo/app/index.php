<?php
// Copyright (c) 2026 ringmaster.webops contributors
// GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Counts the requests of a visitor in their session, and names the host that keeps it. A visitor without a login has no
// session and gets no cookie. Log in with a POST of `login=<name>`, log out with one of `logout=1`; `?format=json` for
// programs.

declare(strict_types=1);

function current_visitor(): ?array
{
    $login = $_POST['login'] ?? null;
    if (!is_string($login) && !isset($_COOKIE[session_name()])) {
        return null;
    }
    session_start();
    if (is_string($login) && $login !== '') {
        session_regenerate_id(true);
        $_SESSION = ['name' => substr($login, 0, 64), 'requests' => 0];
    }
    if (isset($_POST['logout']) || !isset($_SESSION['name'])) {
        session_destroy();
        return null;
    }
    $_SESSION['requests']++;
    return $_SESSION;
}

$visitor = current_visitor();
$answer = [
    'host' => gethostname(),
    'logged_in' => $visitor !== null,
    'name' => $visitor['name'] ?? null,
    'requests' => $visitor['requests'] ?? 0,
];

header('Cache-Control: no-store');
if (($_GET['format'] ?? '') === 'json') {
    header('Content-Type: application/json');
    echo json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES), "\n";
    exit;
}
header('Content-Type: text/html; charset=utf-8');
$host = htmlspecialchars((string) $answer['host']);
?>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A session that stays: <?= $host ?></title>
<style>body { font: 1.1rem/1.5 sans-serif; margin: 3rem auto; max-width: 34rem; padding: 0 1rem }</style>
</head>
<body>
<h1><?= $host ?></h1>
<?php if ($visitor !== null) : ?>
<p>Hello, <?= htmlspecialchars($answer['name'], ENT_QUOTES | ENT_SUBSTITUTE) ?>. This is request <?= $answer['requests'] ?> of your session, which lives on this host.</p>
<form method="post"><button name="logout" value="1">Log out</button> <a href="/">Once more</a></form>
<?php else : ?>
<p>You have no session. Any host may answer you.</p>
<form method="post"><label>Name <input name="login" required maxlength="64"></label> <button>Log in</button></form>
<?php endif ?>
</body>
</html>
