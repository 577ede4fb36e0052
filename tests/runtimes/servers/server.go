// A server on net/http: goroutines over the runtime's own threads and epoll. See contract.py.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

var counted atomic.Int64

func file() (string, error) {
	scratch, err := os.CreateTemp("", "request-")
	if err != nil {
		return "", err
	}
	defer os.Remove(scratch.Name())
	defer scratch.Close()
	if _, err = scratch.WriteString("written by a request"); err != nil {
		return "", err
	}
	text, err := os.ReadFile(scratch.Name())
	return string(text) + ", 0 before", err
}

func main() {
	http.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, counted.Add(1)) })
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	http.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("0123456789abcdef", 65536))
	})
	http.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		text, err := file()
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		io.WriteString(w, text)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.Serve(listener, nil)
}
