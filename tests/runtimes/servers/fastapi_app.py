"""A FastAPI application under uvicorn: pydantic's models in front of numpy."""

import contract
import numpy
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field

app = FastAPI()


class Matrix(BaseModel):
    """A square matrix of numbers from a seed."""

    seed: int
    size: int = Field(ge=1, le=500)


class Facts(BaseModel):
    """What there is to say about it."""

    rank: int
    determinant_is_product: bool
    rounded_trace: int


@app.post("/matrix")
def matrix(wanted: Matrix) -> Facts:
    """In a thread of the pool; the linear algebra library has threads of its own."""
    values = numpy.random.default_rng(wanted.seed).integers(-9, 9, (wanted.size, wanted.size)).astype(float)
    product = values @ numpy.eye(wanted.size)
    sign, logarithm = numpy.linalg.slogdet(product)
    singular = numpy.linalg.svd(values, compute_uv=False)
    return Facts(
        rank=numpy.linalg.matrix_rank(product),
        determinant_is_product=bool(sign != 0 and numpy.isclose(logarithm, numpy.log(singular).sum())),
        rounded_trace=round(float(numpy.trace(values))),
    )


@app.api_route("/{path:path}", methods=["GET", "POST"])
async def anything(request: Request) -> Response:
    status, body = contract.answer(request.method, request.url.path, await request.body())
    return Response(body, status)


uvicorn.run(app, host="127.0.0.1", port=0, log_level="warning")
