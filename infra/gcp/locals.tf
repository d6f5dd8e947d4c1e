# What there is to run comes from functions.json, which is made from the table of functions: a new function gets its service, its account and
# its subscriptions from there, and fails here until settings say what it may do.
locals {
  functions = { for f in jsondecode(file("${path.module}/../functions.json")).functions : f.name => f }

  # Per function: what of the database it needs, what it publishes to, and how it is run. A test watches the calls that each function
  # makes and fails on a role too many and on one too few.
  #   database      reader or writer; null for none
  #   publishes     topics
  #   calls_targets its calls to customers leave from the fixed addresses
  #   secrets       it opens or seals secrets: CALLOUT_SEAL_KEYS
  #   timeout       in seconds, for one request or push
  #   concurrency   requests of one instance at once; functions.json goes before it
  settings = {
    targets = {
      database = "writer", publishes = ["events", "ticks"], calls_targets = false, secrets = true
      timeout  = 60, concurrency = 80, min = 0, max = 10, cpu = "1", memory = "512Mi"
    }
    executions = {
      database = "writer", publishes = ["events"], calls_targets = false, secrets = false
      timeout  = 60, concurrency = 80, min = 0, max = 10, cpu = "1", memory = "512Mi"
    }
    # A hook stands in the way of somebody's request: one instance is always there.
    invoke = {
      database = "reader", publishes = ["events"], calls_targets = true, secrets = true
      timeout  = 300, concurrency = 250, min = 1, max = 20, cpu = "1", memory = "512Mi"
    }
    publish = {
      database = null, publishes = ["events"], calls_targets = false, secrets = false
      timeout  = 60, concurrency = 80, min = 0, max = 20, cpu = "1", memory = "512Mi"
    }
    dispatch = {
      database = "writer", publishes = ["deliveries", "ticks", "dead-letters"], calls_targets = false, secrets = false
      timeout  = 600, concurrency = 80, min = 0, max = 20, cpu = "1", memory = "512Mi"
    }
    # It waits for targets: many at once, and as long as the acknowledgement deadline.
    deliver = {
      database = "writer", publishes = ["deliveries", "ticks", "dead-letters"], calls_targets = true, secrets = true
      timeout  = 600, concurrency = 500, min = 0, max = 40, cpu = "1", memory = "1Gi"
    }
    # One instance: while it sweeps, another tick only makes it sweep longer. Two for a moment, as in a rollout, do no harm.
    sweep = {
      database = "writer", publishes = ["events", "deliveries-slow", "dead-letters"], calls_targets = false, secrets = true
      timeout  = 600, concurrency = 80, min = 0, max = 1, cpu = "1", memory = "512Mi"
    }
    deliveries = {
      database = "writer", publishes = ["events", "deliveries-slow", "ticks"], calls_targets = false, secrets = false
      timeout  = 60, concurrency = 80, min = 0, max = 10, cpu = "1", memory = "512Mi"
    }
    keys = {
      database = "writer", publishes = [], calls_targets = false, secrets = true
      timeout  = 60, concurrency = 80, min = 0, max = 10, cpu = "1", memory = "512Mi"
    }
    # Its sessions are in the database; all else it asks the API for, as everybody does.
    console = {
      database = "writer", publishes = [], calls_targets = false, secrets = true
      timeout  = 60, concurrency = 80, min = 0, max = 5, cpu = "1", memory = "512Mi"
    }
  }

  # One service for each HTTP function, and one for each path of an event function: deliver and deliver-slow are one function and two
  # services, so that retries stand in nobody's way.
  http_services = {
    for name, f in local.functions : name => { function = name, paths = f.paths } if f.trigger == "http"
  }
  event_services = merge([
    for name, f in local.functions : {
      for i, path in f.paths : trimprefix(path, "/push/") => { function = name, paths = [path], topic = f.topics[i] }
    } if f.trigger == "event"
  ]...)
  services = merge(local.http_services, local.event_services)

  topics = toset(["events", "deliveries", "deliveries-slow", "ticks", "dead-letters"])

  roles = { reader = "roles/datastore.viewer", writer = "roles/datastore.user" }

  # Which service may publish to which topic.
  publishing = merge([
    for name, s in local.services : {
      for topic in local.settings[s.function].publishes : "${name}/${topic}" => { service = name, topic = topic }
    }
  ]...)
}
