using Microsoft.AspNetCore.Http.Metadata;

namespace ClusterNet.Gateway.Inference;

/// <summary>Tells Kestrel how many bytes a request to an endpoint may have, whatever is allowed elsewhere.</summary>
/// <param name="bytes">at most</param>
internal sealed class BodyLimit(long bytes) : IRequestSizeLimitMetadata
{
    /// <inheritdoc/>
    public long? MaxRequestBodySize => bytes;
}
