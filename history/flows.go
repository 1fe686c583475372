package history

// Flows are what moved between places lately, a second.
type Flows struct {
	// Others are the instances besides this one whose flows these are, too, by name. Theirs are
	// those of the minute before they last told.
	Others []string
	// Seconds that the rates are of.
	Seconds   float64
	Endpoints []EndpointFlow
	// Reads are invocations whose data was read in another cluster, Copies are objects copied.
	Reads, Copies []LinkFlow
}

// EndpointFlow is what a function endpoint answered.
type EndpointFlow struct {
	Cluster, URL string
	// Local, Remote and None are invocations by where their data was; Failed are those of them
	// that failed.
	Local, Remote, None, Failed float64
	// P50 and P99 are milliseconds until they were answered; NaN where there were none.
	P50, P99 float64
	InFlight int64
}

// LinkFlow is what went from one cluster to another.
type LinkFlow struct {
	Link
	Times, Bytes float64
}
