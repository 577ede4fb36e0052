"""A Flask application under waitress, as its documentation has it."""

import contract
import waitress
from flask import Flask, Response, request

app = Flask(__name__)


@app.route("/<path:path>", methods=["GET", "POST"])
def anything(path):
    status, body = contract.answer(request.method, f"/{path}", request.get_data())
    return Response(body, status)


waitress.serve(app, listen="127.0.0.1:0", threads=4)
