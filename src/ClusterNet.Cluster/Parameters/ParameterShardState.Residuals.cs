namespace ClusterNet.Cluster.Parameters;

/// <summary>What a lossy codec has lost of each slice, at the last version that workers gave it for: a checkpoint of that version holds it, and after going back workers ask for it.</summary>
internal sealed partial class ParameterShardState
{
    private readonly TensorPayload?[] _residuals;
    private long _residualsVersion = -1;

    /// <summary>Whether a checkpoint of the current version would be whole.</summary>
    public bool CanCheckpoint => HasWeights && (_residuals.Length == 0 || (_residualsVersion == Version && Array.TrueForAll(_residuals, residual => residual is not null)));

    /// <summary>Takes what was lost of a slice up to a version, and with it the hold.</summary>
    public void Offer(ParameterProtocol.Commands.KeepResidual keep)
    {
        if (keep.Generation == Generation && keep.Version >= Version && keep.Version <= Version + 1 && keep.Slice >= 0 && keep.Slice < _residuals.Length && keep.Residual.Length == Range.Length)
            Keep(keep.Version, keep.Slice, keep.Residual);
        else
            keep.Residual.Release();
    }

    /// <summary>A hold on what was lost of a slice up to the current version; no values where that is nothing; null where it is not here.</summary>
    public TensorPayload? Residual(int slice)
    {
        if (slice < 0 || slice >= _residuals.Length)
            return null;
        if (_residualsVersion == Version && _residuals[slice] is { } residual)
            return residual with { Buffer = residual.Buffer.Share() };
        return Version == 0 ? new TensorPayload(_pool.Rent(), 0, 0) : null;
    }

    private void Keep(long version, int slice, TensorPayload residual)
    {
        // who is interrupted gives what it had one version before what it gave last
        if (version != _residualsVersion)
        {
            ForgetResiduals();
            _residualsVersion = version;
        }
        _residuals[slice]?.Release();
        _residuals[slice] = residual;
    }

    private void ForgetResiduals()
    {
        foreach (var residual in _residuals)
            residual?.Release();
        Array.Clear(_residuals);
        _residualsVersion = -1;
    }
}
