package main

import (
	"context"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	lockpb "go.etcd.io/etcd/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc/grpclog"
	"io/ioutil"
)

const (
	root      = "/bench/"
	leaseTTL  = 120
	callLimit = 2 * time.Second
)

// Client is a connection of its own to one member, and a lease for its locks.
type Client struct {
	etcd  *clientv3.Client
	locks lockpb.LockClient
	lease clientv3.LeaseID
}

// connect makes as many clients as the job wants, each at the next endpoint in turn.
func connect(job *Job) ([]*Client, error) {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(ioutil.Discard, ioutil.Discard, ioutil.Discard))
	endpoints := strings.Split(job.Endpoints, ",")
	clients := []*Client{}
	for number := 0; number < job.Connections; number++ {
		endpoint := endpoints[number%len(endpoints)]
		etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 30 * time.Second})
		if err != nil {
			return nil, err
		}
		clients = append(clients, &Client{etcd: etcd, locks: lockpb.NewLockClient(etcd.ActiveConnection())})
	}
	return clients, nil
}

func (client *Client) writer(name string, value string) act {
	return func() error {
		limited, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		_, err := client.etcd.Put(limited, root+name, value)
		return err
	}
}

func (client *Client) reader(name string, options ...clientv3.OpOption) act {
	return func() error {
		_, err := client.etcd.Get(context.Background(), root+name, options...)
		return err
	}
}

func (client *Client) nearReader(name string) act {
	return client.reader(name, clientv3.WithSerializable())
}

// Lock is taken and given back by the lock service.
type Lock struct {
	client *Client
	name   string
	key    []byte
}

func (client *Client) lock(name string) (*Lock, error) {
	if client.lease == 0 {
		granted, err := client.etcd.Grant(context.Background(), leaseTTL)
		if err != nil {
			return nil, err
		}
		client.lease = granted.ID
	}
	return &Lock{client: client, name: "/locks/" + name}, nil
}

func (lock *Lock) acquire() error {
	wanted := &lockpb.LockRequest{Name: []byte(lock.name), Lease: int64(lock.client.lease)}
	granted, err := lock.client.locks.Lock(context.Background(), wanted)
	if err == nil {
		lock.key = granted.Key
	}
	return err
}

func (lock *Lock) release() error {
	_, err := lock.client.locks.Unlock(context.Background(), &lockpb.UnlockRequest{Key: lock.key})
	return err
}

func (lock *Lock) cycle() error {
	if err := lock.acquire(); err != nil {
		return err
	}
	return lock.release()
}

// watch has told called after each write; all watches of a client share a stream.
func (client *Client) watch(name string, told func()) {
	answers := client.etcd.Watch(context.Background(), root+name, clientv3.WithCreatedNotify())
	<-answers
	go func() {
		for answer := range answers {
			if len(answer.Events) > 0 {
				told()
			}
		}
	}()
}
