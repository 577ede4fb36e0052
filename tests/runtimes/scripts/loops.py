"""asyncio: tasks, streams over TCP and Unix sockets, timeouts, threads, signals, queues."""

import asyncio
import contextlib
import os
import signal


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
    answers = []
    for word in (b"one", b"two", b"x" * 60000):
        writer.write(word + b"\n")
        answers.append((await reader.readline())[:5])
    writer.close()
    await writer.wait_closed()
    return answers


async def main() -> None:
    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        talks = (asyncio.open_connection("127.0.0.1", port) for _ in range(5))
        print(await asyncio.gather(*[talk(*streams) for streams in await asyncio.gather(*talks)]))
    async with await asyncio.start_unix_server(shout, "socket"):
        print(await talk(*await asyncio.open_unix_connection("socket")))
        print(os.path.exists("socket"))

    order = []

    async def sleeper(time: float) -> None:
        await asyncio.sleep(time)
        order.append(time)

    await asyncio.gather(*(sleeper(time) for time in (0.03, 0.01, 0, 0.02)))
    print(order)
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        print("timed out")
    task = asyncio.create_task(asyncio.sleep(1000))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    print(task.cancelled())

    print(await asyncio.to_thread(sum, range(100000)))
    print(sum(await asyncio.gather(*(asyncio.to_thread(pow, 3, n, 97) for n in range(20)))))
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, arrived.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(arrived.wait(), 30)
    print("signal")
    reading, writing = os.pipe()
    came = loop.create_future()
    loop.add_reader(reading, lambda: came.set_result(os.read(reading, 100)))
    loop.call_later(0.01, os.write, writing, b"through a pipe")
    print(await came)
    loop.remove_reader(reading)
    addresses = await loop.getaddrinfo("127.0.0.1", 80)
    print(addresses[0][4])


asyncio.run(main())
