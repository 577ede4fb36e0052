"""numpy as programs use it: linear algebra with the library's threads, vectors, files, several processes."""

import concurrent.futures
import hashlib
import os
import tempfile

import numpy

values = numpy.random.default_rng(7).integers(-9, 9, (300, 300)).astype(float)
print("product", int((values @ values).sum()), "rank", numpy.linalg.matrix_rank(values))
print("inverse", bool(numpy.allclose(values @ numpy.linalg.inv(values), numpy.eye(300))))
singular = numpy.linalg.svd(values, compute_uv=False)
print("svd", bool(numpy.isclose((singular**2).sum(), (values**2).sum())))
spectrum = numpy.fft.irfft(numpy.fft.rfft(values[0]))
print("fft", bool(numpy.allclose(spectrum, values[0])))
whole = numpy.arange(5_000_000, dtype=numpy.int64)
print(
    "sums", int(whole.sum()), int((whole[whole % 3 == 0] ** 2 % 1009).sum()), int(numpy.sort(whole * 7919 % 50021)[-1])
)
with tempfile.TemporaryDirectory(dir=".") as directory:
    path = os.path.join(directory, "values.npy")
    numpy.save(path, values)
    mapped = numpy.load(path, mmap_mode="r+")
    mapped[0, 0] = 42
    mapped.flush()
    print("mapped", numpy.load(path)[0, 0], hashlib.sha256(mapped.tobytes()).hexdigest()[:16])


def trace(seed: int) -> int:
    return int(numpy.trace(numpy.random.default_rng(seed).integers(0, 99, (100, 100))))


if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("threads", list(pool.map(trace, range(4))))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("processes", list(pool.map(trace, range(4))))
