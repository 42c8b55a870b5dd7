using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ClusterNet.Gateway.Access;

/// <summary>
/// Who sends an API key: as <c>x-api-key</c> or <c>Authorization: Bearer</c>, header of HTTP or metadata of gRPC. Without one, the certificate that the client showed counts, where there is one; without that the caller is
/// nobody, who may do everything where authentication is off.
/// </summary>
internal sealed class ApiKeyHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logging, UrlEncoder encoder, ApiKeyStore keys, AccessSettings settings)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logging, encoder)
{
    public const string SchemeName = "key";
    public const string HeaderName = "x-api-key";

    /// <summary>The key that a request shows; null where it shows none.</summary>
    public static string? KeyOf(HttpRequest request)
    {
        if (request.Headers.TryGetValue(HeaderName, out var given))
            return given.ToString();
        return BearerOf(request) is { } bearer && (ApiKey.IsKey(bearer) || bearer.Length == 0) ? bearer : null;
    }

    /// <summary>What comes with <c>Authorization: Bearer</c>; null where nothing does.</summary>
    public static string? BearerOf(HttpRequest request)
    {
        const string Bearer = "Bearer ";
        var value = request.Headers.Authorization.ToString();
        return value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? value[Bearer.Length..].Trim() : null;
    }

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (KeyOf(Request) is { } text)
        {
            return await keys.FindAsync(text, Context.RequestAborted).ConfigureAwait(false) is { } key
                ? Success(SchemeName, $"key:{key.Name} ({key.Id})", key.Scopes)
                : AuthenticateResult.Fail("the API key is unknown, expired or revoked");
        }
        if (Request.Headers.Authorization.Count > 0)
            return AuthenticateResult.Fail("Authorization holds neither an API key nor a token that is taken here");
        // TLS has checked it already: who shows another one does not get this far
        if (Context.Connection.ClientCertificate is { } certificate && settings.CertificateScopes.Count > 0)
            return Success("certificate", $"certificate:{certificate.Subject}", settings.CertificateScopes);
        return settings.IsRequired ? AuthenticateResult.NoResult() : Success(null, Scopes.Anonymous, Scopes.All);
    }

    private AuthenticateResult Success(string? kind, string name, IEnumerable<string> scopes) =>
        AuthenticateResult.Success(new AuthenticationTicket(Scopes.Caller(kind!, name, scopes), Scheme.Name));
}
