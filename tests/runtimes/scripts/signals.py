"""Signals, timers and time."""

import datetime
import os
import signal
import sys
import threading
import time

seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(signal.Signals(number).name))
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
print(seen)

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
print(len(seen), signal.sigpending())
print(signal.sigwait([signal.SIGUSR1]), len(seen))
print(signal.sigtimedwait([signal.SIGUSR1], 0.001))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


class Rang(Exception):
    pass


def ring(number, frame):
    raise Rang


signal.signal(signal.SIGALRM, ring)
for start in (
    lambda: signal.setitimer(signal.ITIMER_REAL, 0.01),
    lambda: signal.setitimer(signal.ITIMER_REAL, 0.01, 5),
):
    start()
    try:
        time.sleep(60)
    except Rang:
        print("sleep interrupted", signal.setitimer(signal.ITIMER_REAL, 0)[1])
signal.setitimer(signal.ITIMER_REAL, 0.01)
try:
    while True:
        pass
except Rang:
    print("loop interrupted")
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.005)
began = time.monotonic()
time.sleep(0.02)
print("slept on", time.monotonic() - began >= 0.02)
reading, writing = os.pipe()
os.set_blocking(writing, False)
signal.set_wakeup_fd(writing)
os.kill(os.getpid(), signal.SIGUSR1)
print(os.read(reading, 1)[0] == signal.SIGUSR1)
signal.set_wakeup_fd(-1)
print(signal.signal(signal.SIGPIPE, signal.SIG_IGN) == signal.SIG_IGN, signal.getsignal(signal.SIGINT))

print(abs(time.time() - datetime.datetime.now().timestamp()) < 5, time.gmtime(0).tm_year)
print(time.perf_counter() <= time.perf_counter(), time.get_clock_info("monotonic").resolution <= 1e-6)
print(time.process_time() > 0, time.thread_time() > 0, time.clock_gettime(time.CLOCK_BOOTTIME) > 0)
print(datetime.datetime.fromtimestamp(0, datetime.UTC), time.strftime("%Z", time.gmtime()))
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
print("about to be terminated", flush=True)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGTERM)
