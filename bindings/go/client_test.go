// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

package cmek

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"
)

func openOrders(t *testing.T) (*Client, *Zone) {
	client, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := client.Zone("prod/orders")
	if err != nil {
		t.Fatal(err)
	}
	return client, zone
}

type panics struct{}

func (panics) Write([]byte) (int, error)         { panic("mine") }
func (panics) Read([]byte) (int, error)          { panic("mine") }
func (panics) ReadAt([]byte, int64) (int, error) { panic("mine") }

func TestAPanicOfAStreamLeavesNothingThatKeepsTheClient(t *testing.T) {
	client, zone := openOrders(t)
	for _, begin := range []func() error{
		func() error { _, err := zone.Writer(panics{}); return err },
		func() error { _, err := client.Reader(panics{}); return err },
		func() error { _, err := client.ReaderAt(panics{}, 5000); return err },
	} {
		func() {
			defer func() {
				if told := recover(); told != "mine" {
					t.Fatalf("%v, where the stream's own panic was expected", told)
				}
			}()
			t.Fatal(begin())
		}()
		if client.users != 1 {
			t.Fatalf("%d use the client, where the zone alone does", client.users)
		}
	}
	client.Close()
	runtime.KeepAlive(zone)
}

func TestCallsThatAContextLeftBehindAreBounded(t *testing.T) {
	client, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	begun, hangs := make(chan string, 2*callsAtOnce), make(chan bool)
	for i := 0; i < callsAtOnce; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := client.wait(ctx, []byte("x"), func(data []byte) ([]byte, error) {
			begun <- string(data)
			cancel()
			<-hangs
			return data, nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	_, err = client.wait(ctx, nil, func([]byte) ([]byte, error) {
		begun <- "one too many"
		return nil, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err = client.wait(context.Background(), nil, func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal("a call that has no context's end waits for nobody: ", err)
	}
	close(hangs)
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	data, err := client.wait(ctx, []byte("y"), func(data []byte) ([]byte, error) { return data, nil })
	if err != nil || string(data) != "y" {
		t.Fatal(data, err)
	}
	close(begun)
	for text := range begun {
		if text != "x" {
			t.Fatal(text)
		}
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error)         { runtime.Goexit(); return 0, nil }
func (gone) Read([]byte) (int, error)          { panic("gone") }
func (gone) ReadAt([]byte, int64) (int, error) { runtime.Goexit(); return 0, nil }

func TestAStreamThatNeverComesBackKeepsNoClient(t *testing.T) {
	client, zone := openOrders(t)
	for _, work := range []func(){
		func() { zone.Writer(gone{}) },
		func() { client.Reader(gone{}) },
		func() { client.ReaderAt(gone{}, 5000) },
	} {
		done := make(chan any)
		go func() {
			defer close(done)
			defer func() { recover() }()
			work()
		}()
		<-done
	}
	if client.users != 1 { // the zone
		t.Fatal(client.users, " hold the client")
	}
	sealed, err := zone.Seal(context.Background(), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := client.Unseal(context.Background(), sealed); err != nil || !bytes.Equal(plain, []byte("row")) {
		t.Fatal(plain, err)
	}
	client.Close()
}
