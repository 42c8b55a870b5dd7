using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway.Access;

/// <summary>Who may use a gateway.</summary>
public sealed record AccessSettings
{
    /// <summary>Whether callers must say who they are. Off is for loopback alone.</summary>
    public bool IsRequired { get; init; } = true;

    /// <summary>What the holders of an accepted client certificate may do; empty where certificates say nothing about that.</summary>
    public IReadOnlyList<string> CertificateScopes { get; init; } = [];

    /// <summary>Tokens that are taken; null for none.</summary>
    public JwtSettings? Jwt { get; init; }

    /// <summary>Requests a second that one client may make on average; null for any number.</summary>
    public int? RequestsPerSecond { get; init; }

    /// <summary>Requests that it may make at once after a pause; as many as in a second where null.</summary>
    public int? Burst { get; init; }

    /// <summary>All that is wrong. Places are paths in a node file.</summary>
    public IReadOnlyList<Fault> Validate()
    {
        var faults = new List<Fault>();
        faults.AddRange(CertificateScopes.Where(scope => !Scopes.All.Contains(scope)).Select(scope => Fault.Unknown("auth.certificate-scopes", scope, Scopes.All)));
        if (Jwt is not null)
            faults.AddRange(Jwt.Validate());
        if (RequestsPerSecond is < 1)
            faults.Add(new Fault("rate-limit.requests-per-second", $"{RequestsPerSecond} is not at least 1; leave it out for no limit"));
        if (Burst is < 1)
            faults.Add(new Fault("rate-limit.burst", $"{Burst} is not at least 1"));
        if (Burst is not null && RequestsPerSecond is null)
            faults.Add(new Fault("rate-limit.burst", "there is no limit that it could go beyond; give requests-per-second too"));
        return faults;
    }
}

/// <summary>JSON Web Tokens that a gateway takes. Keys are fetched from the authority, or stand in a file, where nothing is looked up in the network.</summary>
public sealed record JwtSettings
{
    /// <summary>An OpenID Connect provider, https; null where <see cref="KeysFile"/> has the keys.</summary>
    public string? Authority { get; init; }

    /// <summary>Public keys or certificates of who signs, PEM, RSA or elliptic curves; null where the authority says.</summary>
    public string? KeysFile { get; init; }

    /// <summary>What <c>iss</c> must be; what the authority says where null.</summary>
    public string? Issuer { get; init; }

    /// <summary>What <c>aud</c> must hold.</summary>
    public string Audience { get; init; } = "";

    /// <summary>The claim with the scopes: text with spaces, or a list.</summary>
    public string ScopeClaim { get; init; } = "scope";

    /// <summary>What stands in the claim for each scope, by scope; the scope itself where nothing is said.</summary>
    public IReadOnlyDictionary<string, string> ScopeNames { get; init; } = new Dictionary<string, string>();

    /// <summary>How the authority is reached; null for the usual way.</summary>
    internal HttpMessageHandler? Handler { get; init; }

    /// <summary>All that is wrong. Places are paths in a node file.</summary>
    public IReadOnlyList<Fault> Validate()
    {
        var faults = new List<Fault>();
        if (Audience.Length == 0)
            faults.Add(new Fault("auth.jwt.audience", "none is given; a token that was made for another service must not be taken here"));
        if (Authority is null == KeysFile is null)
            faults.Add(new Fault("auth.jwt.authority", Authority is null ? "give it, or keys-file" : "give it or keys-file, not both"));
        if (Authority is not null && !(Uri.TryCreate(Authority, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttps))
            faults.Add(new Fault("auth.jwt.authority", $"'{Authority}' is not an https address"));
        if (KeysFile is not null)
        {
            if (Issuer is null)
                faults.Add(new Fault("auth.jwt.issuer", "none is given; with keys from a file nothing else says who issues the tokens"));
            try
            {
                SigningKeys.Read(KeysFile);
            }
            catch (InputException error)
            {
                faults.AddRange(error.Faults);
            }
        }
        return faults;
    }
}
