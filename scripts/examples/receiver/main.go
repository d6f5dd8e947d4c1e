// Command receiver is the smallest endpoint that a target may have: it takes the calls that one of its keys has signed, prints them, and
// answers 401 to all others. Beside it are receiver.mjs, receiver.py and receiver.sh, which do the same and need nothing of ours.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/signature"
)

const maxBody = 8 << 20 // bytes

func main() {
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("CALLOUT_ADDRESS"), "127.0.0.1:9000"))
	if err != nil {
		log.Fatal(err)
	}
	keys := strings.Split(os.Getenv("CALLOUT_SIGNING_KEYS"), ",") // two while they rotate
	seconds, err := strconv.Atoi(cmp.Or(os.Getenv("CALLOUT_TOLERANCE"), "300"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: receive(keys, time.Duration(seconds)*time.Second), ReadTimeout: 30 * time.Second}
	fmt.Println("listening at", listener.Addr())
	log.Fatal(server.Serve(listener))
}

func receive(keys []string, tolerance time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)) // as it came: what was signed is the bytes
		if err == nil {
			err = signature.Verify(r.Header, keys, time.Now(), tolerance, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Printf("%s %s\n", r.Header.Get("webhook-id"), body)
		w.WriteHeader(http.StatusNoContent)
	}
}
