using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace ClusterNet.Gateway.Api;

/// <summary>API keys by HTTP.</summary>
internal static class KeyEndpoints
{
    private const string Tag = "keys";
    private const double MostDays = 36_500;

    public static void MapKeys(this IEndpointRouteBuilder api)
    {
        api.MapGet("/keys", (ApiKeyStore keys) => new KeysDocument([.. keys.List().Select(KeyDocument.Of)]))
            .WithTags(Tag).WithSummary("All API keys, without the keys themselves").Needs(Scopes.Admin);
        api.MapPost("/keys", (NewKeyDocument wanted, ApiKeyStore keys, HttpContext context) =>
            {
                if (wanted.Days is { } days && days is not (> 0 and <= MostDays))
                    throw new InputException("days", FormattableString.Invariant($"{days} is not within 0 to {MostDays}; leave it out for a key that is good for ever"));
                var (key, text) = keys.Create(wanted.Name ?? "", wanted.Scopes ?? [], wanted.Days is { } given ? TimeSpan.FromDays(given) : null);
                AuditedActs.About(context, $"{key.Name} ({key.Id})");
                // an answer that holds a secret is not for any cache
                context.Response.Headers.CacheControl = "no-store";
                return Results.Created($"/api/keys/{key.Id}", new CreatedKeyDocument(KeyDocument.Of(key), text));
            })
            .WithTags(Tag).WithSummary("Make a key; its text is shown in this answer alone").Produces<CreatedKeyDocument>(StatusCodes.Status201Created).Act("keys.create", Scopes.Admin);
        api.MapDelete("/keys/{id}", (string id, ApiKeyStore keys) => KeyDocument.Of(keys.Revoke(id)))
            .WithTags(Tag).WithSummary("Revoke a key: it is refused from now on, by other gateways within a second").Act("keys.revoke", Scopes.Admin);
    }
}
