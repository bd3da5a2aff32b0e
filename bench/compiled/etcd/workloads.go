package main

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"
)

const settle = 2 * time.Second

var workloads = map[string]func(*Job, []*Client) (Sample, error){
	"writes":         writes,
	"reads":          reads,
	"near_reads":     nearReads,
	"lock_cycles":    lockCycles,
	"contended_lock": contendedLock,
	"fan_out":        fanOut,
	"fail_over":      failOver,
}

func ready() { fmt.Println("ready") }

func measured(job *Job, acts []act) Sample {
	repeat(acts, job.Warm)
	ready()
	before := processorSeconds()
	sample := repeat(acts, job.Seconds).rate()
	sample.Processor = (processorSeconds() - before) / sample.Seconds
	return sample
}

func (job *Job) value() string { return strings.Repeat("v", job.Size) }

// each makes an act for every operation in flight, each through the next client in turn.
func each(job *Job, clients []*Client, prefix string, make func(*Client, string) act) []act {
	acts := []act{}
	for number := 0; number < job.InFlight; number++ {
		acts = append(acts, make(clients[number%len(clients)], fmt.Sprintf("%s%04d", prefix, number)))
	}
	return acts
}

func (job *Job) writers(clients []*Client, prefix string) []act {
	return each(job, clients, prefix, func(client *Client, name string) act { return client.writer(name, job.value()) })
}

func writes(job *Job, clients []*Client) (Sample, error) {
	return measured(job, job.writers(clients, "w")), nil
}

func reads(job *Job, clients []*Client) (Sample, error) {
	if err := once(job.writers(clients, "r")); err != nil {
		return Sample{}, err
	}
	read := func(client *Client, name string) act { return client.reader(name) }
	return measured(job, each(job, clients, "r", read)), nil
}

func nearReads(job *Job, clients []*Client) (Sample, error) {
	if err := once(job.writers(clients, "n")); err != nil {
		return Sample{}, err
	}
	return measured(job, each(job, clients, "n", (*Client).nearReader)), nil
}

func lockCycles(job *Job, clients []*Client) (Sample, error) {
	acts := []act{}
	for number := 0; number < job.InFlight; number++ {
		lock, err := clients[number%len(clients)].lock(fmt.Sprintf("l%04d", number))
		if err != nil {
			return Sample{}, err
		}
		acts = append(acts, lock.cycle)
	}
	return measured(job, acts), nil
}

func contendedLock(job *Job, clients []*Client) (Sample, error) {
	locks := []*Lock{}
	for _, client := range clients {
		lock, err := client.lock("contended")
		if err != nil {
			return Sample{}, err
		}
		locks = append(locks, lock)
	}
	waiters := []act{}
	for _, lock := range locks[1:] {
		waiters = append(waiters, lock.cycle)
	}
	rates := []float64{}
	ready()
	for round := 0; round < job.Rounds; round++ {
		if err := locks[0].acquire(); err != nil {
			return Sample{}, err
		}
		done := make(chan error)
		go func() { done <- once(waiters) }()
		time.Sleep(settle)
		began := now()
		if err := locks[0].release(); err != nil {
			return Sample{}, err
		}
		if err := <-done; err != nil {
			return Sample{}, err
		}
		rates = append(rates, float64(len(waiters))/(now()-began))
	}
	length := float64(job.Rounds) * settle.Seconds()
	return Sample{Value: median(rates), Operations: len(waiters) * job.Rounds, Seconds: length}, nil
}

func fanOut(job *Job, clients []*Client) (Sample, error) {
	write := clients[0].writer("watched", job.value())
	if err := write(); err != nil {
		return Sample{}, err
	}
	var told sync.WaitGroup
	for number := 0; number < job.InFlight; number++ {
		clients[number%len(clients)].watch("watched", told.Done)
	}
	ready()
	record := &Record{}
	values := []float64{}
	for round := 0; round <= job.Rounds; round++ {
		time.Sleep(settle)
		told.Add(job.InFlight)
		began := now()
		if err := write(); err != nil {
			return Sample{}, err
		}
		told.Wait()
		if round > 0 {
			record.spans = append(record.spans, span{began, now()})
			values = append(values, now()-began)
		}
	}
	return record.sample(median(values), float64(job.Rounds)*settle.Seconds()), nil
}

func failOver(job *Job, clients []*Client) (Sample, error) {
	acts := job.writers(clients, "f")
	repeat(acts, job.Warm)
	ready()
	return repeat(acts, job.Seconds).gap(), nil
}

func median(values []float64) float64 {
	ordered := append([]float64{}, values...)
	sort.Float64s(ordered)
	middle := len(ordered) / 2
	if len(ordered)%2 == 1 {
		return ordered[middle]
	}
	return (ordered[middle-1] + ordered[middle]) / 2
}
