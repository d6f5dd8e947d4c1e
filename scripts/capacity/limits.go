package main

// limit is a number that Google publishes.
type limit struct {
	value float64
	what  string
	page  string // its name and address
	// doubt is why the number may be another one today: the page as it could be read does not confirm it.
	doubt string
}

// readDate is when the pages were read, as stored copies: what they say today is to be looked up.
const readDate = "2026-11-24"

const (
	bestPractices   = `"Best practices", cloud.google.com/firestore/docs/best-practices`
	firestoreQuotas = `"Usage and limits", firebase.google.com/docs/firestore/quotas`
	pubsubQuotas    = `"Pub/Sub quotas and limits", cloud.google.com/pubsub/quotas`
)

// limits are all that the table rests on.
type limits struct {
	indexWrites    limit // a second, into one range of an index that rises with time
	rampStart      limit // operations a second in a new collection, to begin with
	documentWrites limit // a second, of one document
	databaseWrites limit // a second
	publishBytes   limit // a second, of a project in a region
	pushBytes      limit // a second, of a project in a region
	pushWindow     limit // messages under way of one subscription
	instances      limit // of one service, before a quota is asked for
}

func published() limits {
	return limits{
		indexWrites: limit{500, "writes a second to a collection with an indexed field that rises", bestPractices, ""},
		rampStart: limit{500, "operations a second to begin with, half as many more each 5 minutes (500/50/5)",
			`"Resolve latency issues", docs.cloud.google.com/firestore/docs/resolve-latency`, ""},
		documentWrites: limit{1, "write a second to one document, sustained", firestoreQuotas,
			"of April 2019; now it depends, says the first page. Nothing is written so often for long: a valve once a second, a delivery twice"},
		databaseWrites: limit{10_000, "writes a second to a database", firestoreQuotas, "of April 2019; the page now names none: ask before you rely on more"},
		publishBytes: limit{200e6, "bytes a second published in a large region", pubsubQuotas,
			"in a former version, with 50 MB/s in small regions; the project's own is in its console"},
		pushBytes: limit{20e6, "bytes a second pushed in a large region", pubsubQuotas,
			"quoted by others from a former version; the project's own is in its console"},
		pushWindow: limit{3000, "messages of one push subscription under way, for each region that publishes",
			`"Push subscriptions", cloud.google.com/pubsub/docs/push`, "the page says that the rate follows the answers, and no number was to be read"},
		instances: limit{100, "instances of a service before a quota is asked for",
			`"About maximum instances", cloud.google.com/run/docs/configuring/max-instances-limits`,
			"in a former version; now it is what the region's quota gives"},
	}
}

// all lists them in the order in which they are printed.
func (l limits) all() []limit {
	return []limit{l.indexWrites, l.rampStart, l.documentWrites, l.databaseWrites, l.publishBytes, l.pushBytes, l.pushWindow, l.instances}
}

const (
	// rampGrowth and rampMinutes are the other two numbers of 500/50/5.
	rampGrowth, rampMinutes = 1.5, 5.0
	// maxShards is what CALLOUT_SHARDS takes (package env).
	maxShards = 1024.0
	// busy is how much of its processor an instance is planned to use.
	busy = 0.6
)
