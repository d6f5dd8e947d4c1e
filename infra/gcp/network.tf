# Calls to targets leave from fixed addresses, which customers can let in.
resource "google_compute_network" "egress" {
  name                    = "callout"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

# An instance takes up to two addresses, also for a while after it has gone.
resource "google_compute_subnetwork" "egress" {
  name                     = "callout"
  region                   = var.region
  network                  = google_compute_network.egress.id
  ip_cidr_range            = "10.8.0.0/22"
  private_ip_google_access = true
}

resource "google_compute_address" "egress" {
  count  = var.egress_addresses
  name   = "callout-egress-${count.index + 1}"
  region = var.region
}

resource "google_compute_router" "egress" {
  name    = "callout"
  region  = var.region
  network = google_compute_network.egress.id
}

resource "google_compute_router_nat" "egress" {
  name                                = "callout"
  region                              = var.region
  router                              = google_compute_router.egress.name
  nat_ip_allocate_option              = "MANUAL_ONLY"
  nat_ips                             = google_compute_address.egress[*].self_link
  source_subnetwork_ip_ranges_to_nat  = "LIST_OF_SUBNETWORKS"
  enable_endpoint_independent_mapping = false
  enable_dynamic_port_allocation      = true
  min_ports_per_vm                    = 512
  max_ports_per_vm                    = 4096

  subnetwork {
    name                    = google_compute_subnetwork.egress.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# What the functions refuse to dial, refused by the network as well.
resource "google_compute_firewall" "private" {
  name               = "callout-no-private-addresses"
  network            = google_compute_network.egress.id
  direction          = "EGRESS"
  destination_ranges = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]

  deny {
    protocol = "all"
  }
}
