// Agent profiles itself with pyroscope-go. Of each kind of profile, one function has nearly all.
package main

import (
	"context"
	"log"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/grafana/pyroscope-go"
)

// How long each part of the program runs.
const while = 1500 * time.Millisecond

func main() {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)

	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: os.Getenv("PYROSCOPE_APPLICATION_NAME"),
		ServerAddress:   os.Getenv("PYROSCOPE_SERVER_ADDRESS"),
		Tags:            map[string]string{"region": "eu-north"},
		Logger:          pyroscope.StandardLogger,
		ProfileTypes: []pyroscope.ProfileType{
			pyroscope.ProfileCPU,
			pyroscope.ProfileAllocObjects,
			pyroscope.ProfileAllocSpace,
			pyroscope.ProfileInuseObjects,
			pyroscope.ProfileInuseSpace,
			pyroscope.ProfileGoroutines,
			pyroscope.ProfileMutexCount,
			pyroscope.ProfileMutexDuration,
			pyroscope.ProfileBlockCount,
			pyroscope.ProfileBlockDuration,
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	pyroscope.TagWrapper(context.Background(), pyroscope.Labels("phase", "spin"), func(context.Context) {
		spinTheProcessor(time.Now().Add(while))
	})
	litterTheHeap(64 << 20)
	kept := hoardMemory(64 << 20)
	release := parkGoroutines(200)
	fightForTheLock(while)
	waitForMessages(while)

	// What is in use is known as of the last collection.
	runtime.GC()
	profiler.Flush(true)
	if err := profiler.Stop(); err != nil {
		log.Fatal(err)
	}
	release()
	runtime.KeepAlive(kept)
}

var sink uint64

//go:noinline
func spinTheProcessor(until time.Time) {
	for time.Now().Before(until) {
		for i := range uint64(1 << 16) {
			sink = sink*6364136223846793005 + i
		}
	}
}

var litter []byte

//go:noinline
func litterTheHeap(bytes int) {
	for range bytes >> 10 {
		litter = make([]byte, 1<<10)
	}
	litter = nil
}

//go:noinline
func hoardMemory(bytes int) [][]byte {
	var kept [][]byte
	for range bytes >> 20 {
		kept = append(kept, make([]byte, 1<<20))
	}
	return kept
}

// parkGoroutines returns what lets them go.
func parkGoroutines(count int) func() {
	gate := make(chan struct{})
	for range count {
		go parkedGoroutine(gate)
	}
	return func() { close(gate) }
}

//go:noinline
func parkedGoroutine(gate chan struct{}) { <-gate }

func fightForTheLock(while time.Duration) {
	var lock sync.Mutex
	var fighters sync.WaitGroup
	until := time.Now().Add(while)
	for range 4 {
		fighters.Go(func() { holdTheLock(&lock, until) })
	}
	fighters.Wait()
}

//go:noinline
func holdTheLock(lock *sync.Mutex, until time.Time) {
	for time.Now().Before(until) {
		lock.Lock()
		time.Sleep(time.Millisecond)
		lock.Unlock()
	}
}

func waitForMessages(while time.Duration) {
	messages := make(chan int)
	go func() {
		for until := time.Now().Add(while); time.Now().Before(until); {
			time.Sleep(time.Millisecond)
			messages <- 1
		}
		close(messages)
	}()
	waitForEach(messages)
}

//go:noinline
func waitForEach(messages chan int) {
	for range messages {
	}
}
