// A generator of load for etcd, by its own client. Words and output are those of bench/load: see bench/load/job.py and
// bench/load/sample.py; what a workload does is said in bench/load/workloads.py.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Job is what the command line says: words key=value.
type Job struct {
	Workload    string  `word:"workload"`
	Endpoints   string  `word:"endpoints"`
	InFlight    int     `word:"in_flight"`
	Connections int     `word:"connections"`
	Seconds     float64 `word:"seconds"`
	Warm        float64 `word:"warm"`
	Size        int     `word:"size"`
	Rounds      int     `word:"rounds"`
	Nodes       int     `word:"nodes"`
	Depth       int     `word:"depth"`
}

// parse reads the words; it leaves what none of them names as it is.
func (job *Job) parse(words []string) error {
	fields := map[string]reflect.Value{}
	value := reflect.ValueOf(job).Elem()
	for i := 0; i < value.NumField(); i++ {
		fields[value.Type().Field(i).Tag.Get("word")] = value.Field(i)
	}
	for _, word := range words {
		parts := strings.SplitN(word, "=", 2)
		field, known := fields[parts[0]]
		if !known || len(parts) != 2 {
			return fmt.Errorf("%q is no word of a job", word)
		}
		if err := set(field, parts[1]); err != nil {
			return fmt.Errorf("%q: %v", word, err)
		}
	}
	return nil
}

func set(field reflect.Value, text string) error {
	switch field.Kind() {
	case reflect.Int:
		number, err := strconv.Atoi(text)
		field.SetInt(int64(number))
		return err
	case reflect.Float64:
		number, err := strconv.ParseFloat(text, 64)
		field.SetFloat(number)
		return err
	default:
		field.SetString(text)
		return nil
	}
}

func seconds(amount float64) time.Duration {
	return time.Duration(amount * float64(time.Second))
}

func main() {
	job := Job{InFlight: 1, Connections: 1, Seconds: 5, Warm: 1, Size: 100, Rounds: 10}
	if err := job.parse(os.Args[1:]); err != nil {
		fail(err)
	}
	if job.Nodes != 0 || job.Depth != 0 {
		fail(fmt.Errorf("this generator neither fills a cluster nor knows directories"))
	}
	work, known := workloads[job.Workload]
	if !known {
		fail(fmt.Errorf("no workload %q", job.Workload))
	}
	clients, err := connect(&job)
	if err != nil {
		fail(err)
	}
	sample, err := work(&job, clients)
	if err != nil {
		fail(err)
	}
	line, err := json.Marshal(sample)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
