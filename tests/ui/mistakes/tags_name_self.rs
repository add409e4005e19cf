use cached_runtime::async_cached;

struct Users {
    tenant: String,
}

impl Users {
    #[async_cached(ttl = 60, skip(self), tags(format!("tenant:{}", self.tenant)))]
    pub async fn user(&self, id: u64) -> u64 {
        id + self.tenant.len() as u64
    }
}

fn main() {
    let _ = Users { tenant: String::new() }.user(1);
}
