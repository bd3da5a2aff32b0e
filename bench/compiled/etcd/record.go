package main

import (
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Sample is what is printed.
type Sample struct {
	Value      float64 `json:"value"`
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Worst      float64 `json:"worst"`
	Errors     int64   `json:"errors"`
	Processor  float64 `json:"processor"`
}

// span is one operation: seconds since the generator began.
type span struct{ began, ended float64 }

// Record is what a closed loop saw, which was to last from since to until.
type Record struct {
	spans  []span
	since  float64
	until  float64
	errors int64
}

var start = time.Now()

func now() float64 { return time.Since(start).Seconds() }

const pause = 10 * time.Millisecond

// act is one operation, to be run again and again.
type act func() error

// repeat runs each act over and over, all at once, for so long.
func repeat(acts []act, length float64) *Record {
	record := &Record{since: now(), until: now() + length}
	parts := make([][]span, len(acts))
	end := record.until
	var all sync.WaitGroup
	for number := range acts {
		all.Add(1)
		go func(number int) {
			defer all.Done()
			for {
				began := now()
				if began >= end {
					return
				}
				if acts[number]() != nil {
					atomic.AddInt64(&record.errors, 1)
					time.Sleep(pause)
					continue
				}
				parts[number] = append(parts[number], span{began, now()})
			}
		}(number)
	}
	all.Wait()
	for _, part := range parts {
		record.spans = append(record.spans, part...)
	}
	return record
}

// once runs each act once, all at once; gives the first error.
func once(acts []act) error {
	errors := make(chan error, len(acts))
	for _, each := range acts {
		go func(each act) { errors <- each() }(each)
	}
	var first error
	for range acts {
		if err := <-errors; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// rate is operations a second.
func (record *Record) rate() Sample {
	first, last := math.Inf(1), 0.0
	for _, each := range record.spans {
		first, last = math.Min(first, each.began), math.Max(last, each.ended)
	}
	return record.sample(float64(len(record.spans))/(last-first), last-first)
}

// gap is the longest time in which nothing was acknowledged to anybody, even if it lasts until the end.
func (record *Record) gap() Sample {
	ends := []float64{record.since, record.until}
	for _, each := range record.spans {
		ends = append(ends, each.ended)
	}
	sort.Float64s(ends)
	longest := 0.0
	for i := 1; i < len(ends); i++ {
		longest = math.Max(longest, ends[i]-ends[i-1])
	}
	return record.sample(longest, ends[len(ends)-1]-ends[0])
}

func (record *Record) sample(value float64, length float64) Sample {
	took := []float64{}
	for _, each := range record.spans {
		took = append(took, each.ended-each.began)
	}
	sort.Float64s(took)
	return Sample{value, len(took), length, percentile(took, 0.5), percentile(took, 0.99), percentile(took, 1),
		record.errors, 0}
}

// percentile by nearest rank.
func percentile(ordered []float64, share float64) float64 {
	if len(ordered) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(ordered))))
	if rank < 1 {
		rank = 1
	}
	return ordered[rank-1]
}

func processorSeconds() float64 {
	used := syscall.Rusage{}
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
