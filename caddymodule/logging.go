package caddymodule

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logSwitch is a logger that outlives configurations: it writes where the
// configuration in force logs to. A configuration's own logger would write to files
// that Caddy closes with it.
type logSwitch struct{ core atomic.Pointer[zapcore.Core] }

// newLogSwitch returns a switch that stands at a core.
func newLogSwitch(core zapcore.Core) *logSwitch {
	s := new(logSwitch)
	s.use(core)
	return s
}

// use makes every logger of the switch write to a core from now on.
func (s *logSwitch) use(core zapcore.Core) { s.core.Store(&core) }

// logger returns a logger behind the switch.
func (s *logSwitch) logger(name string) *zap.Logger {
	return zap.New(&switchedCore{to: s}).Named(name)
}

// switchedCore implements zapcore.Core by whatever core its switch stands at.
type switchedCore struct {
	to     *logSwitch
	fields []zapcore.Field
}

func (c *switchedCore) current() zapcore.Core { return *c.to.core.Load() }

// Enabled implements zapcore.LevelEnabler.
func (c *switchedCore) Enabled(l zapcore.Level) bool { return c.current().Enabled(l) }

// With implements zapcore.Core.
func (c *switchedCore) With(fields []zapcore.Field) zapcore.Core {
	return &switchedCore{to: c.to, fields: append(slices.Clip(c.fields), fields...)}
}

// Check implements zapcore.Core. What it adds to the entry is the current core, whose
// own filters have their say.
func (c *switchedCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	core := c.current()
	if !core.Enabled(e.Level) {
		return ce
	}
	return core.With(c.fields).Check(e, ce)
}

// Write implements zapcore.Core.
func (c *switchedCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.current().With(c.fields).Write(e, fields)
}

// Sync implements zapcore.Core.
func (c *switchedCore) Sync() error { return c.current().Sync() }
