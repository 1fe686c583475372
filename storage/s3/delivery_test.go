package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// changing are requests that a server has as a whole before it answers.
func changing() map[string]*Request {
	body := []byte("the body")
	return map[string]*Request{
		"buffered":  {Method: http.MethodPut, Bucket: "b", Key: "k", Body: bytes.NewReader(body), Replay: body, Size: int64(len(body))},
		"streamed":  {Method: http.MethodPut, Bucket: "b", Key: "k", Body: bytes.NewReader(body), Size: int64(len(body))},
		"trailing":  {Method: http.MethodPut, Bucket: "b", Key: "k", Body: bytes.NewReader(body), Size: int64(len(body)), Trailing: true},
		"empty":     {Method: http.MethodPut, Bucket: "b", Key: "k"},
		"removal":   {Method: http.MethodDelete, Bucket: "b", Key: "k"},
		"completed": {Method: http.MethodPost, Bucket: "b", Key: "k", Body: bytes.NewReader(body), Replay: body, Size: int64(len(body))},
	}
}

// A cancelled request that the server has as a whole returns after the server is done
// with it: what it changes may not appear later.
func TestCancelledChangeIsAwaited(t *testing.T) {
	for name, q := range changing() {
		t.Run(name, func(t *testing.T) {
			whole, apply := make(chan struct{}), make(chan struct{})
			c := fake(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(whole)
				<-apply
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			returned := make(chan error, 1)
			go func() {
				_, err := c.Call(ctx, q)
				returned <- err
			}()
			<-whole
			cancel(errors.New("no longer wanted"))
			select {
			case err := <-returned:
				t.Errorf("it returned while its outcome was open: %v", err)
				close(apply)
				return
			case <-time.After(100 * time.Millisecond):
			}
			close(apply)
			if err := <-returned; err != nil {
				t.Errorf("it was applied, and not told so: %v", err)
			}
		})
	}
}

// A server that hangs keeps a cancelled request for a bounded time.
func TestCancelledChangeIsAwaitedForAWhile(t *testing.T) {
	cause := errors.New("no longer wanted")
	for name, q := range changing() {
		t.Run(name, func(t *testing.T) {
			whole, end := make(chan struct{}), make(chan struct{})
			c := fake(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(whole)
				<-end
			})
			defer close(end)
			c.Waits.Settle = 10 * time.Millisecond
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-whole
				cancel(cause)
			}()
			if _, err := c.Call(ctx, q); !errors.Is(err, cause) {
				t.Errorf("got %v, want the cause of its end", err)
			}
		})
	}
}

// A cancelled upload that is still on its way is cut off, and the server never gets
// all of it.
func TestCancelledUploadIsCutOff(t *testing.T) {
	got := make(chan error, 1)
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("no longer wanted")
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		_, _ = w.Write([]byte("half"))
		cancel(cause)
		_, _ = w.Write([]byte("rest"))
	}()
	_, err := c.Call(ctx, &Request{Method: http.MethodPut, Bucket: "b", Key: "k", Body: r, Size: 8})
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause of its end", err)
	}
	select {
	case err := <-got:
		if err == nil {
			t.Error("the server got the whole body")
		}
	case <-time.After(time.Minute):
		t.Error("the server still waits")
	}
	_ = r.Close()
}

// A request that is cancelled before it begins is not made.
func TestCancelledRequestIsNotMade(t *testing.T) {
	c := fake(t, func(http.ResponseWriter, *http.Request) { t.Error("it was made") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, q := range changing() {
		if _, err := c.Call(ctx, q); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
