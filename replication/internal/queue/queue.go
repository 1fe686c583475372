package queue

import (
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// Queue is the intake, the feeds, the attempts and the workers of one run of the engine.
type Queue struct {
	Intake   *Intake
	Feeds    *Feeds
	Attempts *Attempts
	Workers  *Workers
}

// New returns a queue at rest.
func New(o Options) *Queue {
	n := newIntake(o)
	a := &Attempts{o: o, seen: n.seen}
	w := &Workers{
		o: o, attempts: a, freed: make(chan struct{}, 1), outstanding: make(map[state.PendingKey]time.Time), atWork: make(map[ids.Object][]state.Pending),
		early: make(map[ids.Object]*earlyStart), by: make(map[string]int), turn: make(map[string]string),
	}
	n.live = w.addLive
	return &Queue{Intake: n, Feeds: newFeeds(o, n), Attempts: a, Workers: w}
}
