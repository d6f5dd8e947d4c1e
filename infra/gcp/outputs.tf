output "address" {
  description = "What the A record of the domain must name."
  value       = google_compute_global_address.api.address
}

output "egress_addresses" {
  description = "Where calls to targets come from."
  value       = google_compute_address.egress[*].address
}

output "services" {
  description = "The functions' own URLs, which nobody outside reaches."
  value       = { for name, s in google_cloud_run_v2_service.function : name => s.uri }
}
