"""The standard library's file formats, and imports of much of it."""

import bz2
import configparser
import csv
import dbm.dumb
import decimal
import gzip
import hashlib
import hmac
import json
import lzma
import os
import pickle
import random
import sqlite3
import ssl
import tarfile
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
import zoneinfo

data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(500)) + bytes(20000)
for name, module in (("made.gz", gzip), ("made.bz2", bz2), ("made.xz", lzma)):
    with module.open(name, "wb") as file:
        file.write(data)
    with module.open(name) as file:
        print(name, file.read() == data, os.stat(name).st_size < len(data))
print(zlib.crc32(data), hashlib.blake2b(data).hexdigest()[:20], hmac.new(b"key", data, "sha512").hexdigest()[:20])

with zipfile.ZipFile("made.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("inner/data", data)
    archive.write("made.xz")
with zipfile.ZipFile("made.zip") as archive:
    print([(item.filename, item.file_size) for item in archive.infolist()], archive.testzip())
    archive.extractall("unzipped")
with tarfile.open("made.tar.gz", "w:gz") as archive:
    archive.add("unzipped")
with tarfile.open("made.tar.gz") as archive:
    print(sorted(archive.getnames()), archive.extractfile("unzipped/inner/data").read() == data)

rows = [["name", "number"], ["a, b", "1"], ['"quoted"', "2"]]
with open("made.csv", "w", newline="") as file:
    csv.writer(file).writerows(rows)
with open("made.csv", newline="") as file:
    print(list(csv.reader(file)) == rows, list(csv.DictReader(open("made.csv")))[1])
document = {"list": [1, 2.5, None, True], "nested": {"text": "grüße \U0001f600"}}
print(json.dumps(document, sort_keys=True), json.loads(json.dumps(document)) == document)
print(pickle.loads(pickle.dumps(document)) == document, ElementTree.fromstring("<a b='c'><d/></a>").attrib)
settings = configparser.ConfigParser()
settings.read_string("[part]\nkey = value")
print(settings["part"]["key"], decimal.Decimal(2).sqrt(), zoneinfo.ZoneInfo("UTC"))
with dbm.dumb.open("made") as database:
    database["key"] = "value"
print(dbm.dumb.open("made")["key"])

for mode in ("delete", "wal"):
    database = sqlite3.connect("made.db")
    print(database.execute(f"pragma journal_mode = {mode}").fetchone())
    database.execute("create table if not exists things (name text primary key, size real)")
    with database:
        database.executemany("insert into things values (?, ?)", ((f"{mode}{n}", n / 2) for n in range(500)))
    try:
        with database:
            database.execute("insert into things values ('new', 1)")
            database.execute("insert into things values ('new', 2)")
    except sqlite3.IntegrityError as error:
        print(error)
    print(database.execute("select count(*), sum(size), max(name) from things").fetchone())
    database.close()
print(sorted(name for name in os.listdir() if name.startswith("made.db")))

random.seed(7)
print([random.randrange(100) for _ in range(5)], len(os.urandom(5)), random.SystemRandom().random() < 1)
context = ssl.create_default_context()
print(context.verify_mode, context.minimum_version >= ssl.TLSVersion.TLSv1_2, ssl.HAS_TLSv1_3)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
hello = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
try:
    hello.do_handshake()
except ssl.SSLWantReadError:
    print("client hello", outgoing.read(2))
