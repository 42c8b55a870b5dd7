using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Claims;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.Tokens;

namespace ClusterNet.Gateway.Access;

/// <summary>Who calls, how often it may, and whether it may do what it asks.</summary>
internal static class AccessHosting
{
    private const string SelectorName = "caller";
    private const int MaxHeldNames = 200;
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    /// <summary>Signatures that the holder of a public key can't make.</summary>
    private static readonly string[] _algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512, SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
    ];

    public static IServiceCollection AddAccess(this IServiceCollection services, AccessSettings settings, ApiKeyStore keys)
    {
        services.AddSingleton(settings).AddSingleton(keys);
        var authentication = services.AddAuthentication(SelectorName)
            .AddPolicyScheme(SelectorName, null, selector => selector.ForwardDefaultSelector = context => settings.Jwt is not null && IsToken(context.Request) ? JwtBearerDefaults.AuthenticationScheme : ApiKeyHandler.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyHandler>(ApiKeyHandler.SchemeName, null);
        if (settings.Jwt is { } jwt)
            authentication.AddJwtBearer(bearer => Configure(bearer, jwt));
        services.AddRateLimiter(limiter =>
        {
            limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context => Partition(context, settings));
            limiter.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            limiter.OnRejected = RejectAsync;
        });
        return services;
    }

    /// <summary>Between routing and the endpoints: the caller, its rate, its scopes.</summary>
    public static IApplicationBuilder UseAccess(this IApplicationBuilder app) => app.UseAuthentication().UseRateLimiter().UseMiddleware<AccessControl>();

    private static bool IsToken(HttpRequest request) => ApiKeyHandler.KeyOf(request) is null && ApiKeyHandler.BearerOf(request) is not null;

    private static void Configure(JwtBearerOptions bearer, JwtSettings jwt)
    {
        bearer.MapInboundClaims = false;
        bearer.SaveToken = false;
        bearer.IncludeErrorDetails = false;
        if (jwt.Authority is { } authority)
            bearer.ConfigurationManager = new TokenIssuer(authority, jwt.Handler ?? new SocketsHttpHandler());
        bearer.TokenValidationParameters = new TokenValidationParameters
        {
            ValidAlgorithms = _algorithms,
            ValidAudience = jwt.Audience,
            ValidIssuer = jwt.Issuer,
            IssuerSigningKeys = jwt.KeysFile is null ? null : SigningKeys.Read(jwt.KeysFile),
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            ClockSkew = ClockSkew,
            NameClaimType = "sub",
        };
        bearer.Events = new JwtBearerEvents
        {
            OnTokenValidated = context =>
            {
                var token = context.Principal!;
                var given = token.FindAll(jwt.ScopeClaim).SelectMany(claim => claim.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ToHashSet(StringComparer.Ordinal);
                var name = token.FindFirstValue("sub") ?? token.FindFirstValue("client_id") ?? "unnamed";
                context.Principal = Scopes.Caller("jwt", $"jwt:{name[..Math.Min(name.Length, MaxHeldNames)]}", Scopes.All.Where(scope => given.Contains(jwt.ScopeNames.GetValueOrDefault(scope, scope))));
                return Task.CompletedTask;
            },
        };
    }

    /// <summary>Each caller has a bucket of its own; who is nobody shares one with its address.</summary>
    private static RateLimitPartition<string> Partition(HttpContext context, AccessSettings settings)
    {
        if (settings.RequestsPerSecond is not { } rate || context.Request.Path.StartsWithSegments("/health", StringComparison.OrdinalIgnoreCase))
            return RateLimitPartition.GetNoLimiter("");
        var who = context.User.Identity is { IsAuthenticated: true, Name: { } name } ? name : $"address:{Network(context.Connection.RemoteIpAddress)}";
        return RateLimitPartition.GetTokenBucketLimiter(who, _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = settings.Burst ?? rate,
            TokensPerPeriod = rate,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            QueueLimit = 0,
            AutoReplenishment = true,
        });
    }

    // a household or a host has at least a /64 of IPv6 to itself
    private static string Network(IPAddress? address)
    {
        if (address is null)
            return "none";
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        return address.AddressFamily == AddressFamily.InterNetworkV6 ? new IPNetwork(new IPAddress([.. address.GetAddressBytes().Take(8), .. new byte[8]]), 64).ToString() : address.ToString();
    }

    private static async ValueTask RejectAsync(OnRejectedContext rejected, CancellationToken cancel)
    {
        var seconds = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)) : 1;
        var response = rejected.HttpContext.Response;
        response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        await ErrorDocuments.WriteAsync(response, StatusCodes.Status429TooManyRequests, string.Create(CultureInfo.InvariantCulture, $"more requests than this client may make; try again in {seconds} s")).ConfigureAwait(false);
    }
}
