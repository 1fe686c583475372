package lbpolicy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func TestWhichAttemptIsTheLast(t *testing.T) {
	const while = caddy.Duration(time.Minute)
	for _, test := range []struct {
		lb       reverseproxy.LoadBalancing
		attempts int
		ago      time.Duration
		want     bool
	}{
		{reverseproxy.LoadBalancing{}, 1, 0, true},
		{reverseproxy.LoadBalancing{Retries: 2}, 2, 0, false},
		{reverseproxy.LoadBalancing{Retries: 2}, 3, 0, true},
		{reverseproxy.LoadBalancing{TryDuration: while}, 9, time.Second, false},
		{reverseproxy.LoadBalancing{TryDuration: while}, 9, time.Minute, true},
		{reverseproxy.LoadBalancing{TryDuration: while, Retries: 2}, 3, time.Second, true},
	} {
		p := &DataAware{handler: &reverseproxy.Handler{LoadBalancing: &test.lb}}
		st := stateFor(p.handler, httptest.NewRequestWithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{}), http.MethodGet, "/", http.NoBody))
		if st.attempts = test.attempts; test.lb.TryDuration > 0 {
			st.began = st.began.Add(-test.ago)
		}
		if got := p.isLast(st); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
