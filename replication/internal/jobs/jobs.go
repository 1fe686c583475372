package jobs

// Jobs are what people start, decide and watch on an instance.
type Jobs struct {
	Decisions     *Decisions
	Rebalances    *Rebalances
	Abandonments  *Abandonments
	Verifications *Verifications
}

// New returns an instance's.
func New(o Options) *Jobs {
	return &Jobs{
		Decisions: &Decisions{&o}, Rebalances: newRebalances(&o), Abandonments: &Abandonments{&o}, Verifications: &Verifications{&o},
	}
}
