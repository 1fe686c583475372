package lbpolicy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// echoUpgrade switches protocols and then echoes lines.
func echoUpgrade(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" || !strings.HasSuffix(r.URL.Path, "/ws") {
		http.Error(w, "no upgrade of "+r.URL.Path, http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"X-FaDO-Cluster: forged\r\nX-Saw: %s\r\n\r\n", r.URL.Path)
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

func TestUpgradesWorkAndAreInFlightUntilTheyEnd(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(echoUpgrade))
	defer secure.Close()
	plain := httptest.NewServer(http.HandlerFunc(echoUpgrade))
	defer plain.Close()
	for name, f := range map[string]catalog.Function{
		"http":             at(plain.URL),
		"http, prefixed":   at(plain.URL + "/base"),
		"https":            {URL: secure.URL, InsecureSkipVerify: true},
		"https, prefixed":  {URL: secure.URL + "/base", InsecureSkipVerify: true},
		"http, bounded":    {URL: plain.URL, MaxRequests: 1},
		"http, and buffer": at(plain.URL),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("c1", f)
			w.bucket("photos", catalog.Policy{}, "c1")
			proxy := dynamicProxy
			if strings.Contains(name, "buffer") {
				proxy += "request_buffers 4KiB\n"
			}
			s := serve(t, proxy)
			conn, err := net.Dial("unix", s.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-FaDO-Bucket: photos\r\n\r\n")
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("%v, %v", res, err)
			}
			expect(t, res.Header, "X-FaDO-Cluster", "c1")
			for _, line := range []string{"hello\n", "again\n"} {
				_, _ = io.WriteString(conn, line)
				if got, err := r.ReadString('\n'); got != line {
					t.Fatalf("echoed %q, %v", got, err)
				}
			}
			ep := w.endpoint(f.URL)
			if n, m := ep.Live.InFlight.Load(), w.router.Flights.InFlight("photos", "c1"); n != 1 || m != 1 {
				t.Errorf("%d and %d in flight while it lasts", n, m)
			}
			conn.Close()
			eventually(t, "nothing is in flight", func() bool {
				return ep.Live.InFlight.Load() == 0 && w.router.Flights.InFlight("photos", "c1") == 0
			})
		})
	}
}

func TestStreamsAreFlushedAndInFlightUntilTheyEnd(t *testing.T) {
	w := newWorld(t)
	next := make(chan string)
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for line := range next {
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer f.Close()
	w.cluster("c1", at(f.URL))
	w.bucket("photos", catalog.Policy{}, "c1")
	for name, proxy := range map[string]string{
		"dynamic": dynamicProxy,
		"static":  "to " + addressOf(f.URL) + "\nlb_policy data_aware\n",
	} {
		t.Run(name, func(t *testing.T) {
			next = make(chan string)
			s := serve(t, proxy)
			go func() { next <- "data: 1\n" }()
			req, _ := http.NewRequest(http.MethodGet, "http://site/", http.NoBody)
			req.Header.Set("X-FaDO-Bucket", "photos")
			res, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			r := bufio.NewReader(res.Body)
			if line, err := r.ReadString('\n'); line != "data: 1\n" {
				t.Fatalf("%q, %v", line, err)
			}
			next <- "data: 2\n"
			if line, err := r.ReadString('\n'); line != "data: 2\n" {
				t.Fatalf("%q, %v", line, err)
			}
			ep := w.endpoint(f.URL)
			if n, m := ep.Live.InFlight.Load(), w.router.Flights.InFlight("photos", "c1"); n != 1 || m != 1 {
				t.Errorf("%d and %d in flight while it lasts", n, m)
			}
			close(next)
			eventually(t, "nothing is in flight", func() bool {
				return ep.Live.InFlight.Load() == 0 && w.router.Flights.InFlight("photos", "c1") == 0
			})
		})
	}
}

func TestAClientThatLeavesIsNotInFlight(t *testing.T) {
	for name, proxy := range map[string]string{
		"dynamic": dynamicProxy,
		"static":  "to {F}\nlb_policy data_aware\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := newGate(t, "f")
			defer close(f.out)
			w.cluster("c1", at(f.URL))
			w.bucket("photos", catalog.Policy{}, "c1")
			s := serve(t, withAddress(proxy, "{F}", f.URL))
			ctx, cancel := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://site/", http.NoBody)
			req.Header.Set("X-FaDO-Bucket", "photos")
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if res, err := s.client.Do(req); err == nil {
					res.Body.Close()
				}
			}()
			<-f.in
			cancel()
			<-gone
			ep := w.endpoint(f.URL)
			eventually(t, "nothing is in flight", func() bool {
				return ep.Live.InFlight.Load() == 0 && w.router.Flights.InFlight("photos", "c1") == 0
			})
			if len(w.failed()) != 0 {
				t.Error("the endpoint is reported as failed")
			}
		})
	}
}
