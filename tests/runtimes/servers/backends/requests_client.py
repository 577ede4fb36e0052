"""requests, which has urllib3's pools: a session that keeps its connections, over TLS."""

import sys

import requests
from asking import ADDRESS, serve

session = requests.Session()
session.verify = sys.argv[2]
session.trust_env = False


def ask(text: str) -> str:
    return session.get(f"https://{ADDRESS}/ask/{text}").text


def leave(text: str) -> None:
    session.get(f"https://{ADDRESS}/leave/{text}", stream=True)


serve(ask, leave, requests.ConnectionError)
