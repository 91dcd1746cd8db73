<?php
// Copyright (c) 2026 ringmaster.webops contributors
// GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Counts the requests of a visitor in their session, and names the host that keeps it. A visitor who has not logged in
// has no session and gets no cookie. POST /?action=login logs in, POST /?action=logout out; format=json is for programs.

declare(strict_types=1);

/** Return the counter of the visitor's session after this request, or null for a visitor without one. */
function count_request(?string $action): ?int
{
    if ($action !== 'login' && !isset($_COOKIE[session_name()])) {
        return null;
    }
    session_start();
    if ($action === 'login') {
        session_regenerate_id(true);
        $_SESSION = ['counter' => 0];
    }
    if ($action === 'logout' || !isset($_SESSION['counter'])) {
        session_destroy();
        return null;
    }
    return ++$_SESSION['counter'];
}

$action = $_SERVER['REQUEST_METHOD'] === 'POST' && is_string($_GET['action'] ?? null) ? $_GET['action'] : null;
$counter = count_request($action);
$host = (string) gethostname();

header('Cache-Control: no-store');
if (($_GET['format'] ?? '') === 'json') {
    header('Content-Type: application/json');
    echo json_encode(['host' => $host, 'counter' => $counter ?? 0, 'session' => $counter !== null]), "\n";
    exit;
}
header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A session that stays</title>
<style>body { font: 1.1rem/1.5 sans-serif; margin: 3rem auto; max-width: 34rem; padding: 0 1rem }</style>
</head>
<body>
<h1><?= htmlspecialchars($host) ?></h1>
<?php if ($counter !== null) : ?>
<p>This is request <?= $counter ?> of your session, which lives on this host.</p>
<form method="post" action="/?action=logout"><a href="/">Once more</a> <button>Log out</button></form>
<?php else : ?>
<p>You have no session. Any host may answer you.</p>
<form method="post" action="/?action=login"><button>Log in</button></form>
<?php endif ?>
</body>
</html>
