using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

internal static class ImageFolderSource
{
    public static Frame Read(DataSpec spec) => throw new NotSupportedException(spec.Source);
}
