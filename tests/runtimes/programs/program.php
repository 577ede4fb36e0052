<?php
// PHP as programs use it: the compiler, hashes, a child process, fibers, sockets, files. Run with its JIT compiler.
function primes(int $to): int
{
    $found = 0;
    for ($number = 2; $number < $to; $number++) {
        $prime = true;
        for ($divisor = 2; $divisor * $divisor <= $number && $prime; $divisor++) {
            $prime = $number % $divisor !== 0;
        }
        $found += $prime ? 1 : 0;
    }
    return $found;
}

echo 'jit ', json_encode(opcache_get_status(false)['jit']['on'] ?? null), ' primes ', primes(60000), "\n";
echo 'hash ', substr(hash('sha256', str_repeat('some text ', 50000)), 0, 16), "\n";
echo 'password ', json_encode(password_verify('secret', password_hash('secret', PASSWORD_BCRYPT, ['cost' => 4]))), "\n";

$fiber = new Fiber(function (): string {
    $sum = 0;
    while (($next = Fiber::suspend($sum)) !== null) {
        $sum += $next;
    }
    return "sum $sum";
});
$fiber->start();
foreach ([1, 20, 300] as $number) {
    $fiber->resume($number);
}
$fiber->resume(null);
echo 'fiber ', $fiber->getReturn(), "\n";

$name = tempnam('.', 'php-');
file_put_contents($name, implode("\n", range(1, 20000)));
echo 'file ', array_sum(file($name, FILE_IGNORE_NEW_LINES)), ' ', strlen(gzencode(file_get_contents($name))) > 1000, "\n";
unlink($name);

echo 'shell ', trim(shell_exec('echo $((6 * 7))')), "\n";
$process = proc_open(['/bin/cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
fwrite($pipes[0], 'through a child');
fclose($pipes[0]);
echo 'child ', stream_get_contents($pipes[1]), ' ', proc_close($process), "\n";

$server = stream_socket_server('tcp://127.0.0.1:0');
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
$connection = stream_socket_accept($server);
fwrite($client, str_repeat('x', 100000));
stream_socket_shutdown($client, STREAM_SHUT_WR);
echo 'socket ', strlen(stream_get_contents($connection)), "\n";

$heap = [];
for ($number = 0; $number < 200000; $number++) {
    $heap[] = "object $number";
}
echo 'heap ', array_sum(array_map('strlen', $heap)), ' collected ', gc_collect_cycles() >= 0, "\n";
