"""multiprocessing by each of its ways to start a process: what is passed, shared, waited for and ended."""

import asyncio
import multiprocessing
import os
import select
import signal
import socket
import sys
import tempfile
from multiprocessing import connection, shared_memory


def square(number):
    return number * number


def fail(number):
    raise ValueError(f"no {number}")


def count(lock, number, array):
    for _ in range(100):
        with lock:
            number.value += 1
    array[0] = 7


def serve(requests, answers):
    for text in iter(requests.get, None):
        answers.put(text.upper())


def give_back(pipe):
    """Takes a connection, a socket and a text; answers over what came."""
    other, plain, text = pipe.recv()
    other.send(text + " over a connection")
    plain.sendall(text.encode() + b" over a socket")
    other.close()
    plain.close()


def wait_for_ever(event):
    event.set()
    signal.pause()


def change(mapping, names):
    mapping["child"] = len(names)
    names.append("child")


def fill(name):
    memory = shared_memory.SharedMemory(name=name)
    memory.buf[:5] = b"child"
    memory.close()


def connect(address):
    with connection.Client(address, authkey=b"key") as client:
        client.send(["a", {"list": 1}])
        print("answer", client.recv_bytes(), flush=True)


def started(context, target, *arguments):
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def ended(*processes):
    for process in processes:
        process.join()
        print(process.exitcode, process.is_alive(), flush=True)


def go_through(context):
    with context.Pool(2) as pool:
        print(pool.map(square, range(6)), pool.apply_async(square, (9,)).get())
        try:
            pool.map(fail, [1])
        except ValueError as error:
            print(repr(error))
        pool.close()
        pool.join()

    number, array, lock = context.Value("i", 0), context.Array("d", 3), context.Lock()
    ended(*[started(context, count, lock, number, array) for _ in range(3)])
    print(number.value, list(array))

    requests, answers = context.Queue(), context.Queue()
    server = started(context, serve, requests, answers)
    for text in ("one", "two", "x" * 100_000):
        requests.put(text)
    print([len(answers.get()) for _ in range(3)])
    requests.put(None)
    ended(server)

    near, far = context.Pipe()
    receiver, sender = context.Pipe(duplex=False)
    left, right = socket.socketpair()
    child = started(context, give_back, far)
    near.send((sender, right, "given back"))
    right.close()
    sender.close()
    print(receiver.recv(), left.recv(100))
    ended(child)

    event = context.Event()
    child = started(context, wait_for_ever, event)
    print(event.wait(60), connection.wait([child.sentinel], timeout=0))
    child.terminate()
    print(connection.wait([child.sentinel], timeout=60) == [child.sentinel])
    ended(child)

    memory = shared_memory.SharedMemory(create=True, size=16)
    ended(started(context, fill, memory.name))
    print(bytes(memory.buf[:6]))
    memory.close()
    memory.unlink()

    with context.Manager() as manager:
        mapping, names = manager.dict(), manager.list(["parent"])
        ended(started(context, change, mapping, names))
        print(dict(mapping), list(names))


def listen():
    with tempfile.TemporaryDirectory(dir=".") as directory:
        address = os.path.join(directory, "socket")
        with connection.Listener(address, "AF_UNIX", authkey=b"key") as listener:
            child = started(multiprocessing, connect, address)
            with listener.accept() as accepted:
                print("got", accepted.recv(), flush=True)
                accepted.send_bytes(b"bytes")
            ended(child)


def describe():
    """Process descriptors, by themselves and as asyncio waits with them."""
    child = os.fork()
    if child == 0:
        signal.pause()
    descriptor = os.pidfd_open(child)
    print(select.select([descriptor], [], [], 0)[0])
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    print(select.select([descriptor], [], [], 60)[0] == [descriptor])
    result = os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
    print(result.si_pid == child, result.si_status, result.si_code == os.CLD_KILLED)

    async def run():
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        answer, _ = await process.communicate(b"through a program")
        print(answer, process.returncode)

    # Newer versions have no other way, and no such name.
    if sys.version_info < (3, 12):
        watcher = asyncio.PidfdChildWatcher()
        asyncio.set_child_watcher(watcher)
    asyncio.run(run())


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    for method in ("fork", "forkserver", "spawn"):
        print("---", method, flush=True)
        go_through(multiprocessing.get_context(method))
    print("--- listener", flush=True)
    listen()
    print("--- descriptors", flush=True)
    describe()
