// Go as programs use it: goroutines on several threads, channels, timers, collection, signals, a child process, sockets.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func primes(to int) (found int) {
	for number := 2; number < to; number++ {
		prime := true
		for divisor := 2; divisor*divisor <= number && prime; divisor++ {
			prime = number%divisor != 0
		}
		if prime {
			found++
		}
	}
	return
}

func goroutines() {
	runtime.GOMAXPROCS(4)
	var group sync.WaitGroup
	results := make(chan int, 8)
	for index := 1; index <= 8; index++ {
		group.Add(1)
		go func() {
			defer group.Done()
			results <- primes(index * 5000)
		}()
	}
	group.Wait()
	close(results)
	var all []int
	for result := range results {
		all = append(all, result)
	}
	sort.Ints(all)
	fmt.Println("goroutines", all)
}

// A goroutine that never calls anything is still interrupted: by a signal.
func spinning() {
	runtime.GOMAXPROCS(1)
	var turns atomic.Int64
	go func() {
		for {
			turns.Add(1)
		}
	}()
	time.Sleep(time.Millisecond)
	fmt.Println("spinning", turns.Load() > 0)
	runtime.GOMAXPROCS(4)
}

func timers() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	ticks := 0
	for {
		select {
		case <-ticker.C:
			ticks++
		case <-ctx.Done():
			fmt.Println("timers", ticks > 0, ctx.Err())
			return
		}
	}
}

func signals() {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-received)
}

func child() {
	command := exec.Command("/bin/cat")
	command.Stdin = bytes.NewBufferString("through a child")
	output, err := command.Output()
	fmt.Println("child", string(output), err)
	fmt.Println("status", exec.Command("/bin/sh", "-c", "exit 3").Run())
}

func sockets() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		connection, _ := listener.Accept()
		io.Copy(connection, connection)
		connection.Close()
	}()
	connection, _ := net.Dial("tcp", listener.Addr().String())
	go func() {
		connection.Write(bytes.Repeat([]byte("x"), 3<<20))
		connection.(*net.TCPConn).CloseWrite()
	}()
	received, err := io.ReadAll(connection)
	fmt.Println("sockets", len(received), err)
}

func collection() {
	kept := map[int]string{}
	for round := 0; round < 5; round++ {
		for number := 0; number < 20000; number++ {
			kept[number] = fmt.Sprint("object ", number, round)
		}
		runtime.GC()
	}
	length := 0
	for _, text := range kept {
		length += len(text)
	}
	fmt.Println("heap", length)
}

func main() {
	goroutines()
	spinning()
	timers()
	signals()
	child()
	sockets()
	collection()
	fmt.Printf("big %x\n", sha256.Sum256([]byte(new(big.Int).Exp(big.NewInt(7), big.NewInt(20000), nil).String())))
	defer func() {
		fmt.Println("recovered", recover())
	}()
	var nothing *int
	*nothing = 1
}
