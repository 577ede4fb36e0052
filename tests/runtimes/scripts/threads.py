"""Threads: locks, conditions, queues, pools, timers, thread locals, and the interpreter's switching between them."""

import concurrent.futures
import contextvars
import queue
import sys
import threading
import time

sys.setswitchinterval(1e-5)
total = 0
lock = threading.Lock()


def add() -> None:
    global total
    for _ in range(500):
        with lock:
            total += 1


threads = [threading.Thread(target=add) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total, threading.active_count(), threading.current_thread().name)

tasks, results = queue.Queue(maxsize=3), queue.SimpleQueue()


def work() -> None:
    while (item := tasks.get()) is not None:
        results.put(item * item)
        tasks.task_done()


workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for worker in workers:
    worker.start()
for number in range(50):
    tasks.put(number)
tasks.join()
print(sum(results.get() for _ in range(50)), tasks.empty())
for _ in workers:
    tasks.put(None)
for worker in workers:
    worker.join()

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda number: number**3, range(10))))
    failing = pool.submit(lambda: 1 / 0)
    print(repr(failing.exception()))
    blocker = threading.Event()
    waiting = [pool.submit(blocker.wait) for _ in range(4)]
    late = pool.submit(print, "never")
    print(late.cancel(), concurrent.futures.wait(waiting, timeout=0.01).done)
    blocker.set()
    print(sorted(done.result() for done in concurrent.futures.as_completed(waiting)))

barrier, turns, condition, turn = threading.Barrier(3), [], threading.Condition(), 0


def in_turn(mine: int) -> None:
    global turn
    barrier.wait()
    for _ in range(3):
        with condition:
            condition.wait_for(lambda: turn % 3 == mine)
            turns.append(mine)
            turn += 1
            condition.notify_all()


threads = [threading.Thread(target=in_turn, args=(mine,)) for mine in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(turns)

local = threading.local()
local.value = "main"
variable = contextvars.ContextVar("variable", default="default")
variable.set("main")
seen = []
other = threading.Thread(target=lambda: seen.append((hasattr(local, "value"), variable.get())))
other.start()
other.join()
print(seen, local.value, variable.get())

began = time.monotonic()
event = threading.Event()
timer = threading.Timer(0.02, event.set)
timer.start()
print(event.wait(30), time.monotonic() - began >= 0.02, threading.Event().wait(0.01))
print(lock.acquire(timeout=1), lock.acquire(timeout=0.01), lock.locked())
semaphore = threading.BoundedSemaphore(2)
print([semaphore.acquire(blocking=False) for _ in range(3)])
print(threading.get_native_id() > 0, len({threading.get_ident() for _ in range(3)}))


def spin(until: threading.Event) -> None:
    while not until.is_set():
        pass


stop = threading.Event()
spinner = threading.Thread(target=spin, args=(stop,))
spinner.start()
time.sleep(0.02)
stop.set()
spinner.join()
print("a busy thread lets others run")
threading.Thread(target=lambda: [][0]).start()
