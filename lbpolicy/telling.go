package lbpolicy

import (
	"context"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fado-project/fado/routing"
)

// What was decided about a request is in the placeholders {fado.cluster}, {fado.locality},
// {fado.reason}, {fado.bucket} and {fado.object}, and in the field "fado" of access logs. A
// client can't set them, as it can {http.request.header.X-FaDO-Cluster}.

// tell makes a request's state readable in placeholders and access logs. first: no proxy has
// served the request before.
func (st *requestState) tell(ctx context.Context, first bool) {
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && first {
		repl.Map(func(key string) (any, bool) { return placeholder(ctx, key) })
	}
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && srv.Logs != nil {
		if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
			extra.Set(zap.Object("fado", st)) // read when the request is logged
		}
	}
}

// placeholder returns the value of one of FaDO's placeholders: empty before the first choice
// of an endpoint, and where there is nothing to tell.
func placeholder(ctx context.Context, key string) (any, bool) {
	name, ok := strings.CutPrefix(key, "fado.")
	if !ok {
		return nil, false
	}
	st, ok := caddyhttp.GetVar(ctx, stateVar).(*requestState)
	if !ok {
		return nil, false
	}
	switch name {
	case "cluster":
		return st.cluster(), true
	case "locality":
		return st.localityName(), true
	case "reason":
		return string(st.reason), true
	case "bucket":
		return st.bucket(), true
	case "object":
		return st.object, true
	default:
		return nil, false
	}
}

func (st *requestState) cluster() string {
	if st.endpoint == nil {
		return ""
	}
	return st.endpoint.Cluster
}

func (st *requestState) localityName() string {
	if st.endpoint == nil {
		return ""
	}
	return st.locality.String()
}

// bucket returns the first bucket that the request names.
func (st *requestState) bucket() string {
	if len(st.buckets) == 0 || st.buckets[0] == unreadable {
		return ""
	}
	return st.buckets[0]
}

// MarshalLogObject implements zapcore.ObjectMarshaler. Keys of objects are left to those who
// ask for them with log_append.
func (st *requestState) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if st.reason != routing.ReasonNone {
		enc.AddString("reason", string(st.reason))
	} else {
		enc.AddString("cluster", st.cluster())
		enc.AddString("locality", st.localityName())
	}
	if b := st.bucket(); b != "" {
		enc.AddString("bucket", b)
	}
	return nil
}
