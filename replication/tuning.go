package replication

import "time"

// Tuning holds time constants that users have no reason to change.
type Tuning struct {
	PingEvery    time.Duration // between pings of a storage that is up
	PingTimeout  time.Duration // of one ping
	CallTimeout  time.Duration // of one small request (HEAD, DELETE, bucket operations)
	StallTimeout time.Duration // of a transfer that moves no byte
	SilentScan   time.Duration // between scans of buckets whose changes can't be listened to
	DrainGrace   time.Duration // for routing decisions taken just before a copy left
	LookTimeout  time.Duration // for finding where a bucket exists already
	RetryBase    time.Duration // first delay after a failed attempt
	RetryMax     time.Duration // longest delay between attempts
	FullProbe    time.Duration // between attempts to write to a storage that is full
	Lease        time.Duration // of a claimed row
	PlanEvery    time.Duration // between full passes of the planner
	SaveEvery    time.Duration // between saves of a walk's cursor
	JobTurn      time.Duration // that a walk has its place to itself while others wait
	ShardEvery   time.Duration // between looks for work to share with other instances
	PullEvery    time.Duration // between looks at objects copied on demand
	StrayEvery   time.Duration // between looks at former primaries
	PullRest     time.Duration // before an object that found no room is copied on demand again
}

func (t Tuning) withDefaults() Tuning {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.PingEvery, 10*time.Second)
	set(&t.PingTimeout, 8*time.Second)
	set(&t.CallTimeout, 20*time.Second)
	set(&t.StallTimeout, 3*time.Minute)
	set(&t.SilentScan, time.Minute)
	set(&t.DrainGrace, 200*time.Millisecond)
	set(&t.LookTimeout, 10*time.Second)
	set(&t.RetryBase, 500*time.Millisecond)
	set(&t.RetryMax, 5*time.Minute)
	set(&t.FullProbe, 30*time.Second)
	set(&t.Lease, time.Minute)
	set(&t.PlanEvery, 5*time.Minute)
	set(&t.SaveEvery, time.Second)
	set(&t.JobTurn, jobTurn)
	set(&t.ShardEvery, time.Second)
	set(&t.PullEvery, 5*time.Second)
	set(&t.StrayEvery, 5*time.Minute)
	set(&t.PullRest, 5*time.Second)
	return t
}
