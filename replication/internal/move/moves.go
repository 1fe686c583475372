package move

// Moves is all that changes where buckets are written. All methods are safe for concurrent use.
type Moves struct {
	Mover     *Mover
	Carrier   *Carrier
	Converger *Converger
	Decisions *Decisions
	Halts     *Halts
}

// New returns the moves of an instance.
func New(o Options) *Moves {
	o.Timing = o.Timing.withDefaults()
	halts, whole, partings := &Halts{&o}, whole{&o}, newPartings(&o)
	return &Moves{
		Mover:     &Mover{o: &o, whole: whole, halts: halts, partings: partings},
		Carrier:   &Carrier{o: &o, partings: partings},
		Converger: &Converger{o: &o, whole: whole},
		Decisions: &Decisions{o: &o, halts: halts},
		Halts:     halts,
	}
}
