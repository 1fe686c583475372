package site

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Pace is what bounds the objects worked on at a time per storage; see package limit.
type Pace interface {
	Flowing(cluster string, now time.Time)
	Congested(cluster string, now time.Time)
	SetSuspect(cluster string, on bool)
	SetClusters(n int)
}

// Timing holds the bounds that requests to storages keep.
type Timing struct {
	PingEvery   time.Duration // between pings of a storage that is up
	PingTimeout time.Duration // of one ping
	CallTimeout time.Duration // of one small request
	FullProbe   time.Duration // between attempts to write to a storage that is full
}

// Hooks are called on changes of storages, and on signs of life. All are called without locks held.
type Hooks struct {
	// Changed is told what people may want to know: up, down, full, space.
	Changed func(cluster, state, reason string)
	// Answered, where it is set, is called whenever a storage answers a ping.
	Answered func(cluster string, address int64)
	// Up is called when a storage answers that did not before: what waited for it is due.
	Up func(ctx context.Context, cluster string)
	// Down is called when a storage no longer answers.
	Down func(cluster string)
	// Space is called when a storage takes writes again.
	Space func(cluster string)
}

// Options of Sites. All are required but Refuse and OwnFault.
type Options struct {
	Router *routing.Router
	// Open makes the client of a cluster's storage.
	Open func(cluster string, s *catalog.Storage) (storage.Storage, error)
	// Refuse says why a storage must not be opened, or used any longer; nil: it may be. It is
	// asked whenever a storage is looked up, with a lock held. A nil Refuse refuses none.
	Refuse func(cluster string, s *catalog.Storage) error
	Pace   Pace
	Log    *zap.Logger
	Now    func() time.Time
	Timing Timing
	Hooks  Hooks
	// OwnFault is an error of requests that says nothing about the storage.
	OwnFault error
}
