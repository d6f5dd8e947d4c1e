#!/bin/sh
# The smallest endpoint that a target may have, as a CGI program: any web server that knows CGI runs it, with the target's signing keys in
# CALLOUT_SIGNING_KEYS. It needs a POSIX shell and openssl, on whose command line the key stands for a moment: use it where all users of
# the machine may know the key.
set -euf

answer() { # STATUS
  printf 'Status: %s\r\n\r\n' "$1"
  exit 0
}

case ${CONTENT_LENGTH:-0} in *[!0-9]* | ????????*) answer 413 ;; esac # 9,999,999 bytes at most
body=$(mktemp)
trap 'rm -f "$body"' EXIT
head -c "${CONTENT_LENGTH:-0}" >"$body" # as it came: what was signed is the bytes

mac() { # KEY START FORM: the signature of START and the body
  { printf %s "$2" && cat "$body"; } | case $3 in
    hex) openssl dgst -sha256 -hmac "$1" -r | cut -c 1-64 ;;
    base64) openssl dgst -sha256 -hmac "$1" -binary | openssl base64 -A ;;
  esac
}

nonce=$(openssl rand -hex 32)
blind() { # TEXT: who measures how long it takes to compare these learns nothing of the text
  printf %s "$1" | openssl dgst -sha256 -hmac "$nonce" -r
}

signed() { # SIGNATURES TIME START FORM: one of the keys made one of the signatures, and may have done so at that time
  case $2 in '' | 0* | *[!0-9]* | ?????????????*) return 1 ;; esac
  age=$(($(date +%s) - $2))
  tolerance=${CALLOUT_TOLERANCE:-300}
  [ "${age#-}" -le "$tolerance" ] || return 1
  for key in $(printf %s "${CALLOUT_SIGNING_KEYS-}" | tr , ' '); do # two while they rotate
    want=$(blind "$(mac "$key" "$3" "$4")")
    for got in $1; do
      [ "$(blind "$got")" != "$want" ] || return 0
    done
  done
  return 1
}

# Both kinds of signature are looked at, and one there must be. Each kind may have several, of which one is enough.
reference=${HTTP_ZITADEL_SIGNATURE-}
standard=${HTTP_WEBHOOK_SIGNATURE-}
[ -n "$reference$standard" ] || answer 401
if [ -n "$reference" ]; then
  time='' signatures=''
  for part in $(printf %s "$reference" | tr , ' '); do
    case $part in
      t=*) time=${part#t=} ;;
      v1=*) signatures="$signatures $(printf %s "${part#v1=}" | tr A-F a-f)" ;;
    esac
  done
  signed "$signatures" "$time" "$time." hex || answer 401
fi
if [ -n "$standard" ]; then
  id=${HTTP_WEBHOOK_ID-} time=${HTTP_WEBHOOK_TIMESTAMP-} signatures=''
  [ -n "$id" ] || answer 401
  for part in $standard; do
    case $part in v1,*) signatures="$signatures ${part#v1,}" ;; esac
  done
  signed "$signatures" "$time" "$id.$time." base64 || answer 401
fi

printf '%s %s\n' "${HTTP_WEBHOOK_ID-}" "$(cat "$body")" >&2 # into the web server's log
answer 204
