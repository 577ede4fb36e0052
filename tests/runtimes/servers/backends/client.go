// Go's net/http asks an HTTP backend over connections that it keeps.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func get(path string) (string, error) {
	response, err := http.Get("http://" + os.Args[1] + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func asked(path string) string {
	for lost := 0; ; lost++ {
		body, err := get(path)
		if err == nil {
			return fmt.Sprintf("%s, lost %d", body, lost)
		}
		if lost == 2 {
			return "lost: " + err.Error()
		}
	}
}

func main() {
	asked("/ask/at/start")
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		if strings.HasPrefix(request.URL.Path, "/leave/") {
			// The head of the answer is here, most of the answer is not.
			if _, err := http.Get("http://" + os.Args[1] + request.URL.Path); err == nil {
				os.Exit(1)
			}
		}
		io.WriteString(writer, asked(request.URL.Path))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, nil))
}
