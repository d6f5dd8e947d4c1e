package access

// Complete adds what the environment says: the data folder in CALLOUT_DATA, and who is calling in CALLOUT_TOKEN or in CALLOUT_CLIENT_ID and
// CALLOUT_CLIENT_SECRET. What the user said about who is calling makes the environment's word on that count for nothing, but for the other
// half of a client. The error is a *ChoiceError.
func (c Choice) Complete(getenv func(string) string) (Choice, error) {
	if c.Data == "" {
		c.Data = getenv("CALLOUT_DATA")
	}
	if c.Data == "" {
		c.Data = ".callout"
	}
	ways := 0
	for _, said := range []bool{c.Token != "", c.ServiceAccount != "", c.ClientID != "" || c.ClientSecret != "", c.Client != ""} {
		if said {
			ways++
		}
	}
	switch {
	case ways > 1:
		return c, choiceErrorf("--token, --service-account, --client-id and --client say who is calling: give one of them")
	case ways == 0:
		c.Token, c.ClientID, c.ClientSecret = getenv("CALLOUT_TOKEN"), getenv("CALLOUT_CLIENT_ID"), getenv("CALLOUT_CLIENT_SECRET")
	case c.ClientID != "" && c.ClientSecret == "":
		c.ClientSecret = getenv("CALLOUT_CLIENT_SECRET")
	case c.ClientSecret != "" && c.ClientID == "":
		c.ClientID = getenv("CALLOUT_CLIENT_ID")
	}
	if c.Client == "" {
		c.Client = "admin"
	}
	return c, nil
}
