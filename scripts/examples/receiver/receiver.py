"""The smallest endpoint that a target may have. The target's signing keys are in CALLOUT_SIGNING_KEYS: python3 receiver.py"""
import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = [key.encode() for key in os.environ.get("CALLOUT_SIGNING_KEYS", "").split(",") if key]  # two while they rotate
TOLERANCE = int(os.environ.get("CALLOUT_TOLERANCE", "300"))  # seconds
HOST, PORT = os.environ.get("CALLOUT_ADDRESS", "127.0.0.1:9000").split(":")
MAX_BODY = 8 << 20  # bytes


def decoded(decode, text):
    try:
        return decode(text)
    except (ValueError, binascii.Error):
        return b""


def signed(signatures, stamp, message):
    """Says whether one of the keys made one of the signatures, and when that may have been."""
    if not re.fullmatch("[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > TOLERANCE:
        return False
    wanted = [hmac.digest(key, message, hashlib.sha256) for key in KEYS]
    return any(hmac.compare_digest(got, want) for want in wanted for got in signatures)


def verify(headers, body):
    """Looks at both kinds of signature, and wants one at least. Each kind may have several, of which one is enough."""
    reference, standard = headers.get("ZITADEL-Signature", ""), headers.get("webhook-signature", "")
    if reference:
        parts = [part.partition("=") for part in reference.split(",")]
        stamp = next((value for name, _, value in parts if name == "t"), "")
        signatures = [decoded(bytes.fromhex, value) for name, _, value in parts if name == "v1"]
        if not signed(signatures, stamp, f"{stamp}.".encode() + body):
            return False
    if standard:
        identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signatures = [decoded(base64.b64decode, part[3:]) for part in standard.split(" ") if part.startswith("v1,")]
        if not identity or not signed(signatures, stamp, f"{identity}.{stamp}.".encode() + body):
            return False
    return bool(reference or standard)


class Receiver(BaseHTTPRequestHandler):
    timeout = 30  # seconds

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,8}", size) or int(size) > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(int(size))  # as it came: what was signed is the bytes
        if not verify(self.headers, body):
            return self.answer(401)
        print(self.headers["webhook-id"], body.decode(), flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer((HOST, int(PORT)), Receiver)
    print(f"listening at {HOST}:{server.server_port}", flush=True)
    server.serve_forever()
