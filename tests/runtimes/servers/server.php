<?php
// A page for PHP's built-in server. PHP itself forgets its variables after each request, so that what is counted here
// is in a variable of the C library: PHP never looks at it. See contract.py.
function count_request(): int
{
    return FFI::cdef('extern int optind;')->optind++;
}

function file_of_its_own(): string
{
    $before = count(glob(sys_get_temp_dir() . '/request-*'));
    $name = tempnam(sys_get_temp_dir(), 'request-');
    file_put_contents($name, 'written by a request');
    $text = file_get_contents($name);
    unlink($name);
    return "$text, $before before";
}

$body = match ($_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI']) {
    'GET /count' => count_request(),
    'POST /echo' => file_get_contents('php://input'),
    'GET /large' => str_repeat('0123456789abcdef', 65536),
    'GET /file' => file_of_its_own(),
    default => null,
};
if ($body === null) {
    http_response_code(404);
}
echo $body ?? 'nothing here';
