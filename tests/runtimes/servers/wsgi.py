"""A WSGI application under wsgiref, or under waitress with its threads."""

import sys
from http import HTTPStatus
from wsgiref.simple_server import make_server

import contract


def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    status, body = contract.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read(length))
    start_response(f"{status} {HTTPStatus(status).phrase}", [("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    if sys.argv[1] == "waitress":
        import waitress

        waitress.serve(application, listen="127.0.0.1:0", threads=4)
    else:
        make_server("127.0.0.1", 0, application).serve_forever()
