package audit

import "context"

// Caller is who makes a change, and how they came.
type Caller struct {
	// Who is the actor of records; "" for FaDO itself.
	Who string
	// Role is what they may do; "" where there are no roles.
	Role string
	// How they came: password, token, link or identity at the console, endpoint for Caddy's admin
	// endpoint; "" for others.
	How string
	// Address they came from; "" where there is none, as with a Unix socket.
	Address string
	// Request identifies the request; "" for none.
	Request string
}

type callerKey struct{}

// WithCaller says who makes the changes of a context.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who makes the changes of a context: nobody but FaDO itself where it does not say.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
