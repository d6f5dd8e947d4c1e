variable "project" {
  description = "The project that everything is made in."
  type        = string
}

variable "region" {
  description = "Where the functions run."
  type        = string
}

variable "database_location" {
  description = "Where the database is: a region, or a multi-region such as eur3 or nam5. It cannot be changed later."
  type        = string
}

variable "database" {
  description = "The name of the database. Each project has one that is free of charge up to a limit: (default)."
  type        = string
  default     = "(default)"
}

variable "image" {
  description = "The cloud image, by digest: what ./functions is built to."
  type        = string
}

variable "domain" {
  description = "The host name of the API. Its A record must name the output address before the certificate is issued."
  type        = string
}

variable "issuer" {
  description = "Whose access tokens are taken: an https URL."
  type        = string

  validation {
    condition     = startswith(var.issuer, "https://")
    error_message = "The issuer must be an https URL."
  }
}

variable "audience" {
  description = "The audience that access tokens must have."
  type        = string
}

variable "seal_keys_version" {
  description = "The version of the secret callout-seal-keys. A number, not latest: a new one must reach all functions, one step at a time."
  type        = string
  default     = "1"
}

variable "console_client_id" {
  description = "The issuer's public client for the console, whose redirect is https://DOMAIN/console/callback. Empty: the console says that it is not set up."
  type        = string
  default     = ""
}

variable "introspection_client_id" {
  description = "As whom the issuer is asked about tokens that are no JWTs. Empty: such tokens are refused, and no secret is needed."
  type        = string
  default     = ""
}

variable "introspection_secret_version" {
  description = "The version of the secret callout-introspection-secret."
  type        = string
  default     = "1"
}

variable "environment" {
  description = "Further variables of the functions, such as CALLOUT_LOG_BODIES or CALLOUT_EGRESS_DENY. They hold no secrets."
  type        = map(string)
  default     = {}
}

variable "egress_addresses" {
  description = "How many fixed addresses the calls to targets come from. Each has 64,000 ports, which is as many calls to one target at once."
  type        = number
  default     = 2
}

variable "notification_channels" {
  description = "Who is told of alerts: full names of channels of Cloud Monitoring."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Whether tofu destroy leaves the database and the services alone."
  type        = bool
  default     = true
}
