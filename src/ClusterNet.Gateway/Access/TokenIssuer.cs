using ClusterNet.Cluster;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;

namespace ClusterNet.Gateway.Access;

/// <summary>
/// What an OpenID Connect provider says of the keys that it signs tokens with. Anybody may send what looks like a token, so until the provider has answered once, one question is asked for all who wait, none waits long, and after a
/// failure nobody asks for a while. From then on the library keeps the keys, and renews them beside the requests.
/// </summary>
internal sealed class TokenIssuer : IConfigurationManager<OpenIdConnectConfiguration>, IDisposable
{
    private const string WellKnown = ".well-known/openid-configuration";
    private const long MaxBytes = 1 << 20;
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly string _authority;
    private readonly HttpClient _http;
    private readonly ConfigurationManager<OpenIdConnectConfiguration> _known;
    private readonly Lock _gate = new();
    private Task<OpenIdConnectConfiguration>? _first;

    /// <param name="authority">its address, https</param>
    /// <param name="handler">how it is reached</param>
    public TokenIssuer(string authority, HttpMessageHandler handler)
    {
        _authority = authority;
        _http = new HttpClient(handler) { Timeout = AnswerTime, MaxResponseContentBufferSize = MaxBytes };
        _known = new ConfigurationManager<OpenIdConnectConfiguration>($"{authority.TrimEnd('/')}/{WellKnown}", new OpenIdConnectConfigurationRetriever(), new HttpDocumentRetriever(_http) { RequireHttps = true });
    }

    /// <summary>The keys, now or soon.</summary>
    /// <exception cref="ClusterException">the provider has not said, or can't be reached</exception>
    public async Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel)
    {
        Task<OpenIdConnectConfiguration> first;
        lock (_gate)
            first = _first ??= AskAsync();
        try
        {
            await first.WaitAsync(Patience, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new ClusterException($"'{_authority}', whose tokens are taken (auth.jwt.authority), has not said yet which keys it signs with");
        }
        return await _known.GetConfigurationAsync(cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void RequestRefresh() => _known.RequestRefresh();

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<OpenIdConnectConfiguration> AskAsync()
    {
        // not within the lock
        await Task.Yield();
        try
        {
            return await _known.GetConfigurationAsync(CancellationToken.None).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // whatever it is, the provider is to be asked again
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _ = ForgetLaterAsync();
            throw new ClusterException($"'{_authority}', whose tokens are taken (auth.jwt.authority), can't be asked for the keys that it signs with: {(exception.InnerException ?? exception).Message}", exception);
        }
    }

    private async Task ForgetLaterAsync()
    {
        await Task.Delay(Pause).ConfigureAwait(false);
        lock (_gate)
            _first = null;
    }
}
